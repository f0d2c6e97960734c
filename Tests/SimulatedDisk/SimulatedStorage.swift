// A disk in memory that fails, tears, runs full and forgets what was not synced, all as its seed says.
//
// Holds: the same seed and the same calls give the same disk. Each call that changes something (also a sync) is an operation
// with a number, from 1; faults are set by these numbers. Reads are not counted.
// Leaves to others: what the files mean.

import Primitives
import SeededRandom
import Synchronization

/// What the disk draws its faults from; its tests draw from it, too.
public typealias SplitMix64 = SeededRandom.SplitMix64

/// A `Storage` for tests.
public final class SimulatedStorage: Storage {
  /// What happens at an operation.
  public enum Fault: Equatable, Sendable {
    /// This one fails; nothing of it happens, but for a sync, of which any part happens.
    case failOnce
    /// This one and all later ones fail.
    case failFromHere
    /// The machine stops: this one happens in part or not at all, and nothing after it. `crash` gives what is left.
    case crash
  }

  struct State {
    var names = SimulatedNames()
    var files: [Int: SimulatedFile] = [:]
    var nextFile = 1
    var open: [Int32: (path: String, file: Int)] = [:]
    var nextDescriptor: Int32 = 3
    /// The first one of this process.
    var firstDescriptor: Int32 = 3
    var capacityBytes = Int.max
    var operations = 0
    var faults: [Int: Fault] = [:]
    var failsAlways = false
    var failsReads = false
    var hasCrashed = false
    var spoils: Set<String> = []
    var keepsLog = false
    var log: [String] = []
    var random: SplitMix64
  }

  let state: Mutex<State>

  /// An empty disk.
  public init(seed: UInt64 = 0, capacityBytes: Int = .max) {
    var state = State(random: SplitMix64(seed: seed))
    state.capacityBytes = capacityBytes
    self.state = Mutex(state)
  }

  private init(state: sending State) { self.state = Mutex(state) }

  // MARK: Faults

  /// Sets what happens at the operation with this number.
  public func setFault(_ fault: Fault, atOperation number: Int) { state.withLock { $0.faults[number] = fault } }

  /// Ends all faults that have been set or are going on, but for a crash.
  public func clearFaults() {
    state.withLock {
      $0.faults = [:]
      $0.failsAlways = false
      $0.failsReads = false
    }
  }

  /// Makes every read fail from now on.
  public func failReads() { state.withLock { $0.failsReads = true } }

  /// Turns over a bit in the middle of what is written to this path next, and tells nobody.
  public func spoilNextWrite(to path: String) { state.withLock { _ = $0.spoils.insert(path) } }

  /// The number of operations so far.
  public var operations: Int { state.withLock { $0.operations } }

  /// Whether a crash that was set has happened.
  public var hasCrashed: Bool { state.withLock { $0.hasCrashed } }

  /// Bytes that all files together may have.
  public var capacityBytes: Int {
    get { state.withLock { $0.capacityBytes } }
    set { state.withLock { $0.capacityBytes = newValue } }
  }

  /// Bytes that all files together have.
  public var usedBytes: Int { state.withLock { $0.usedBytes } }

  /// What is left after a loss of power now: all that was synced, and any part of what was not, as the seed says.
  public func crash(seed: UInt64) -> SimulatedStorage {
    let left = state.withLock { state in
      var random = SplitMix64(seed: seed)
      var left = State(random: SplitMix64(seed: random.next()))
      let names = state.names.afterCrash(&random)
      // In order, or the seed would not decide alone.
      for file in Set(names.files.values).sorted() {
        left.files[file] = SimulatedFile(durable: state.files[file]!.afterCrash(&random))
      }
      left.names = SimulatedNames(durable: names)
      left.nextFile = state.nextFile
      left.capacityBytes = state.capacityBytes
      return left
    }
    return SimulatedStorage(state: left)
  }

  /// Lets a next process use the disk of the running machine: it reads all that was written, and the disk still does not
  /// hold what was not synced. Faults are over, and files must be opened again.
  public func restartProcess() {
    clearFaults()
    state.withLock {
      $0.hasCrashed = false
      $0.open = [:]
      $0.firstDescriptor = $0.nextDescriptor
      $0.operations = 0
    }
  }

  /// A disk with the same files, all durable.
  public func copy() -> SimulatedStorage {
    let left = state.withLock { state in
      var left = State(random: SplitMix64(seed: 0))
      for file in Set(state.names.now.files.values) {
        left.files[file] = SimulatedFile(durable: state.files[file]!.content)
      }
      left.names = SimulatedNames(durable: state.names.now)
      left.nextFile = state.nextFile
      left.capacityBytes = state.capacityBytes
      return left
    }
    return SimulatedStorage(state: left)
  }

  // MARK: Looking and damaging

  /// The bytes of a file as programs see them; nil when there is none.
  public func contents(_ path: String) -> [UInt8]? {
    state.withLock { state in state.names.now.files[path].map { state.files[$0]!.content } }
  }

  /// Puts a durable file in place.
  public func place(_ path: String, _ bytes: [UInt8]) {
    state.withLock { state in
      let file = state.makeFile()
      state.files[file] = SimulatedFile(durable: bytes)
      state.names.apply(.link(path, file))
      var folder = SimulatedNames.folder(of: path)
      state.names.sync(folder: folder)
      while !folder.isEmpty {
        state.names.apply(.makeFolder(folder))
        folder = SimulatedNames.folder(of: folder)
        state.names.sync(folder: folder)
      }
    }
  }

  /// Turns over one bit of a file, in memory and on the disk.
  public func flip(bit: Int, of path: String, at offset: Int) {
    state.withLock { state in
      guard let file = state.names.now.files[path] else { preconditionFailure("\(path) is there") }
      state.files[file]!.flip(bit: bit, at: offset)
    }
  }

  /// Paths of all files, sorted.
  public var paths: [String] { state.withLock { $0.names.now.files.keys.sorted() } }

  /// Paths of all open files, sorted; one that is open twice comes twice.
  public var openPaths: [String] { state.withLock { $0.open.values.map(\.path).sorted() } }

  /// Writes down every operation from now on.
  public func keepLog() { state.withLock { $0.keepsLog = true } }

  /// The operations since `keepLog`, one a line.
  public var log: [String] { state.withLock { $0.log } }
}

extension SimulatedStorage.State {
  var usedBytes: Int {
    let reachable = Set(names.now.files.values).union(open.values.map(\.file))
    return reachable.reduce(0) { $0 + files[$1]!.content.count }
  }

  mutating func makeFile() -> Int {
    defer { nextFile += 1 }
    files[nextFile] = SimulatedFile()
    return nextFile
  }
}
