// One process of the server without its sockets: the production engine over a simulated disk, its threads driven by hand.
//
// Holds: nothing happens by itself; a turn of the loop, of the log and of a lane are calls.
// Leaves to others: the order of these calls and what clients ask (Simulation).

import Broker
import DataFiles
import DecisionLog
import Engine
import Journal
import Primitives
import SimulatedDisk
import SimulatedLog
import Synchronization

/// A defect planted around the production code: the simulation is worth something only if it finds each of them.
enum PlantedBug: CaseIterable, Sendable {
  /// `sync` returns without having made anything durable.
  case syncLies
  /// The rename of a new checkpoint does not happen, and nobody is told.
  case checkpointNotRenamed
  /// Tasks of the write lane are reported as done and never run.
  case writesFinishUnrun
  /// Clients are told at once instead of when the journal is settled.
  case repliesDoNotWait
}

/// Time that stands still unless somebody moves it.
final class SimulatedTime: Sendable {
  private let ns: Atomic<Int64>
  init(ms: UnixMs) { ns = Atomic(ms * TimeUnits.nsPerMs) }

  var nowNs: Int64 {
    get { ns.load(ordering: .relaxed) }
    set { ns.store(newValue, ordering: .relaxed) }
  }
  var nowMs: UnixMs { TimeUnits.msRoundedDown(ns: nowNs) }
}

extension FolderCheck {
  /// Checks a folder with a journal.
  static func run(_ storage: any Storage) -> FolderReport {
    run(storage) { identity throws(LogError) in try JournalLog.toVerify(storage, identity: identity) }
  }
}

/// A running process.
final class SimulatedMachine {
  let engine: Engine
  let io: ManualIOQueue
  var broker: Broker { engine.broker }
  private var isLogDone = false

  /// Opens what is on the disk, with a journal, or with a log over `medium` if there is one.
  init(
    disk: SimulatedStorage, settings: EngineSettings, time: SimulatedTime, seed: UInt64, bug: PlantedBug? = nil,
    medium: LogMedium? = nil, policy: SyncPolicy = .always
  ) throws {
    let storage: any Storage = bug.map { UnsoundStorage(disk, $0) } ?? disk
    let io = ManualIOQueue(storage: storage, finishesWritesUnrun: bug == .writesFinishUnrun)
    var random = SplitMix64(seed: seed)
    let surroundings = EngineSurroundings(storage: storage, io: io) { identity throws(LogError) in
      if let medium { return try MemoryLog(medium, identity: identity, syncTurns: [0, 1, 4, 40][Int(seed % 4)]) }
      return try JournalLog(
        storage, identity: identity,
        settings: JournalSettings(policy: policy, segmentBytes: SegmentWriter.segmentBytesMin),
        random: { StoreID(low: random.next(), high: random.next()) }, clock: { time.nowNs }, wake: {}, notify: {})
    }
    do {
      engine = try Engine.open(surroundings, settings, nowNs: time.nowNs)
    } catch {
      io.abandon()
      throw error
    }
    self.io = io
  }

  /// One turn of the loop in which clients do what `commands` does; gives its last record.
  func turn(nowNs: Int64, mustSync: Bool = false, _ commands: () throws -> Void = {}) throws -> Sequence {
    var failure: (any Error)?
    let last = engine.turn(nowNs: nowNs, finished: io.takeFinished, isWaitingForSpace: io.isWaitingForSpace) {
      do { try commands() } catch { failure = error }
      return mustSync
    }
    if let failure { throw failure }
    return last
  }

  /// One turn of the log's thread; false when it has nothing to do.
  @discardableResult
  func turnLog() -> Bool {
    if isLogDone { return false }
    switch engine.log.turn() {
    case .now: return true
    case .after, .whenWoken: return false
    case .finished:
      isLogDone = true
      return false
    }
  }
}

/// A disk that does what its planted bug says.
final class UnsoundStorage: Storage {
  private let disk: SimulatedStorage
  private let bug: PlantedBug

  init(_ disk: SimulatedStorage, _ bug: PlantedBug) {
    self.disk = disk
    self.bug = bug
  }

  func sync(_ file: FileID) throws(StorageError) { if bug != .syncLies { try disk.sync(file) } }
  func rename(_ path: String, to newPath: String) throws(StorageError) {
    // The very first one makes the folder.
    if bug == .checkpointNotRenamed, newPath == "checkpoint", disk.paths.contains(newPath) { return }
    try disk.rename(path, to: newPath)
  }

  func open(_ path: String, create: Bool) throws(StorageError) -> FileID { try disk.open(path, create: create) }
  func close(_ file: FileID) { disk.close(file) }
  func size(_ file: FileID) throws(StorageError) -> Int { try disk.size(file) }
  func read(_ file: FileID, at offset: Int, into buffer: UnsafeMutableRawBufferPointer) throws(StorageError) -> Int {
    try disk.read(file, at: offset, into: buffer)
  }
  func write(_ file: FileID, at offset: Int, _ bytes: UnsafeRawBufferPointer) throws(StorageError) {
    try disk.write(file, at: offset, bytes)
  }
  func preallocate(_ file: FileID, bytes: Int) throws(StorageError) { try disk.preallocate(file, bytes: bytes) }
  func truncate(_ file: FileID, to bytes: Int) throws(StorageError) { try disk.truncate(file, to: bytes) }
  func remove(_ path: String) throws(StorageError) { try disk.remove(path) }
  func list(_ directory: String) throws(StorageError) -> [String] { try disk.list(directory) }
  func makeDirectory(_ path: String) throws(StorageError) { try disk.makeDirectory(path) }
  func removeDirectory(_ path: String) throws(StorageError) { try disk.removeDirectory(path) }
  func syncDirectory(_ path: String) throws(StorageError) { try disk.syncDirectory(path) }
  func freeBytes() -> Int { disk.freeBytes() }
}
