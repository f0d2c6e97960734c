// The one true sequence of a simulated stream, and the machines that keep it.
//
// Holds: what `ReplicatedStream` says of every stream, and nothing more: whatever is allowed there happens, drawn from the world.
// Leaves to others: the connection of each node (SimulatedStream), when faults strike (StreamFaults, the test).

import ReplicatedStream
import SeededRandom

/// A stream that all nodes of a test share.
public final class TrueStream {
  /// What is stored, and since when.
  struct Stored {
    let bytes: [UInt8]
    let atNs: Int64
  }

  static let nsPerMs: Int64 = 1_000_000
  /// How long a call may take before it is given up.
  static let patienceNs: Int64 = 1_000 * nsPerMs

  /// Time and chance.
  public let world: SimulatedWorld
  /// What may happen.
  public var faults: StreamFaults
  /// Which stream it is.
  public let identity = StreamIdentity(name: "ESC-0", createdNs: 1)
  /// How many bytes it may take.
  public var bytesMax = Int.max
  /// The first entry that is there.
  public private(set) var first: EntrySequence = 1
  /// How many appends were stored although their caller had given up.
  public private(set) var storedTooLate = 0
  /// How many appends were refused.
  public private(set) var refused = 0

  /// Is told of each entry as it is stored.
  public var onStored: (EntrySequence, [UInt8]) -> Void = { _, _ in }

  private(set) var stored: [Stored] = []
  private var bytes = 0
  private var leaderlessUntilNs: Int64 = 0
  private var connections: [SimulatedStream] = []

  /// An empty stream.
  public init(_ world: SimulatedWorld, _ faults: StreamFaults = StreamFaults()) {
    self.world = world
    self.faults = faults
  }

  /// The last entry; `first - 1` when there is none.
  public var last: EntrySequence { first + UInt64(stored.count) - 1 }

  /// The bytes of an entry that is there.
  public func entry(_ sequence: EntrySequence) -> [UInt8] { stored[Int(sequence - first)].bytes }

  /// Whether nobody leads the stream.
  public var isLeaderless: Bool { world.nowNs < leaderlessUntilNs }

  /// Takes the stream's leader away for a while: nothing is stored, and nothing that is on its way is answered.
  public func loseLeader(forNs ns: Int64) { leaderlessUntilNs = max(leaderlessUntilNs, world.nowNs + ns) }

  /// A new connection.
  public func connect() -> SimulatedStream {
    let connection = SimulatedStream(self)
    connections.append(connection)
    return connection
  }

  func connect(again connection: SimulatedStream) { connections.append(connection) }

  func disconnect(_ connection: SimulatedStream) { connections.removeAll { $0 === connection } }

  /// Stores an entry that no node has sent; for tests.
  public func store(_ bytes: [UInt8]) {
    stored.append(Stored(bytes: bytes, atNs: world.nowNs))
    self.bytes += bytes.count
    onStored(last, bytes)
    tellTails()
  }

  // MARK: What arrives

  /// An append has arrived; gives what the stream answers, nil for no answer.
  func arrived(_ bytes: [UInt8], expecting: EntrySequence, isGivenUp: Bool) -> AppendOutcome? {
    if isLeaderless { return nil }
    guard expecting == last else {
      refused += 1
      return .refused(last: world.isDrawn(oneIn: 5) ? nil : last)
    }
    if self.bytes + bytes.count > bytesMax { return .full }
    if isGivenUp { storedTooLate += 1 }
    store(bytes)
    let sequence = last
    if world.isDrawn(oneIn: faults.lostLeaders) {
      loseLeader(forNs: world.draw(world.isDrawn(oneIn: 6) ? 0...20_000 : 0...2_000) * Self.nsPerMs)
      if world.isDrawn(oneIn: 2) { return nil }
    }
    return .stored(sequence)
  }

  func read(from wanted: EntrySequence, maxBytes: Int) -> ReadOutcome {
    if wanted < first { return .truncated(first: first) }
    let lagNs = world.isDrawn(oneIn: faults.staleReads) ? world.draw(0...5_000) * Self.nsPerMs : 0
    var entries: [StreamEntry] = []
    var size = 0
    var sequence = wanted
    while sequence <= last, size < maxBytes {
      let next = stored[Int(sequence - first)]
      if next.atNs > world.nowNs - lagNs { break }
      entries.append(StreamEntry(sequence: sequence, previous: sequence - 1, bytes: next.bytes))
      size += next.bytes.count
      sequence += 1
    }
    return entries.isEmpty ? .nothingYet : .entries(entries)
  }

  func end() -> LastOutcome {
    if isLeaderless { return .unknown }
    let isStale = last > first && world.isDrawn(oneIn: faults.staleEnds)
    let end = isStale ? UInt64.random(in: max(first, last - min(last, 5))...last, using: &world.random) : last
    return .last(first: first, last: end, bytes: UInt64(bytes))
  }

  func truncate(below sequence: EntrySequence) {
    while first < sequence, stored.count > 1 {
      bytes -= stored.removeFirst().bytes.count
      first += 1
    }
  }

  private func tellTails() {
    let entry = StreamEntry(sequence: last, previous: last - 1, bytes: stored[stored.count - 1].bytes)
    for connection in connections {
      if world.isDrawn(oneIn: faults.lostTails) { continue }
      let isLate = world.isDrawn(oneIn: faults.lateTails)
      let delayNs = world.draw(isLate ? 1_000_000...2_000_000_000 : 20_000...1_500_000)
      world.after(ns: delayNs) { [weak connection] in connection?.hear(.entry(entry)) }
      if world.isDrawn(oneIn: faults.doubledTails) {
        world.after(ns: delayNs + world.draw(0...50_000_000)) { [weak connection] in connection?.hear(.entry(entry)) }
      }
    }
  }
}
