// A log in memory: settles as late as a test wants, fails when a test wants, and outlives its process in a `LogMedium`.
//
// Holds: what every `DecisionLog` promises; a turn sends what was submitted, and a sync covers what was sent when it began.
// Leaves to others: threads (there are none: tests make all calls from one), time (a sync takes turns).

import DecisionLog
import Primitives

/// A `DecisionLog` for simulations. One thread's own.
public final class MemoryLog: DecisionLog, @unchecked Sendable {
  /// After so many turns what nobody waits for is synced anyway.
  public static let lingerTurns = 16

  /// How many turns a sync takes besides the one that begins it.
  public var syncTurns: Int
  /// Whether the log claims to be short of room.
  public var isSpaceLow = false
  /// What it was told to fail with.
  public private(set) var failure: StorageError?
  /// Bytes of what does not count as written yet.
  public var inFlightBytes: Int { queue.reduce(0) { $0 + $1.byteCount } + onTheWay.reduce(0) { $0 + $1.bytes } }
  /// What it has done; syncs take no time.
  public private(set) var counters = LogCounters()

  private let medium: LogMedium
  private var queue: [RecordBuffer] = []
  /// Buffers that have been sent and do not count as written yet.
  private var onTheWay: [(last: Sequence, bytes: Int)] = []
  private var spares: [RecordBuffer] = []
  private var isBufferOut = false
  private var mustSync = false
  private var sync: (upTo: Sequence, turns: Int)?
  private var restedTurns = 0
  private var isStopping = false
  private var isReading = false

  /// A log over what a medium holds. `identity` as in `OpenLog`.
  public init(_ medium: LogMedium, identity: LogIdentity?, syncTurns: Int = 0) throws(LogError) {
    if let identity, identity != medium.identity { throw LogError(.foreign, "the log in memory is another one") }
    if identity == nil, medium.kind == .oneMachine, medium.hasBegun {
      throw LogError(.orphaned, "there is a log in memory and nothing that says whose it is")
    }
    self.medium = medium
    self.syncTurns = syncTurns
  }

  /// Lets the log fail as of now.
  public func fail(_ error: StorageError) { if failure == nil { failure = error } }

  /// That of the medium.
  public var identity: LogIdentity { medium.identity }
  /// Several machines may read the log at a time; on one, one process.
  public var deliveryRule: DeliveryRule { medium.kind == .oneMachine ? .withoutOwnRecord : .afterOwnRecord }
  /// Any number does: there is no disk.
  public var releaseGrainBytes: Int { 4096 }

  // MARK: A start

  /// Hands over what the medium holds. Nothing there is ever damaged.
  public func recover(
    from first: Sequence, _ mode: RecoveryMode,
    _ apply: (_ sequence: Sequence, _ kind: UInt8, _ payload: UnsafeRawBufferPointer) throws -> Void
  ) throws(LogError) -> RecoveryReport {
    guard first > medium.released, first <= medium.sent + 1 else {
      throw LogError(.damaged, "the log in memory lacks record \(first)")
    }
    var report = RecoveryReport()
    for sequence in first..<medium.sent + 1 {
      let record = medium.records[Int(sequence - medium.released - 1)]
      do { try record.payload.withUnsafeBytes { try apply(sequence, record.kind, $0) } } catch {
        throw LogError(.unusable, "record \(sequence) of the log in memory cannot be applied: \(error)")
      }
      report.records += 1
      report.bytes += Frame.bytes(payloadBytes: record.payload.count)
    }
    report.nextSequence = medium.sent + 1
    isReading = mode == .verify
    return report
  }

  /// From here on the medium is somebody's.
  public func begin() throws(LogError) {
    precondition(!isReading, "a log that is only looked at does not begin")
    medium.hasBegun = true
    medium.durable = medium.sent
  }

  // MARK: The loop

  /// A buffer behind all that was submitted.
  public func takeBuffer() -> RecordBuffer {
    precondition(!isBufferOut && medium.hasBegun, "one buffer is filled at a time, of a log that has begun")
    isBufferOut = true
    let buffer = spares.popLast() ?? RecordBuffer()
    buffer.reset(nextSequence: (queue.last?.lastSequence ?? medium.sent) + 1)
    return buffer
  }

  /// Queues a buffer for the next turn.
  public func submit(_ buffer: RecordBuffer, mustSync: Bool) {
    precondition(isBufferOut && !isStopping, "the buffer is the one that was taken")
    isBufferOut = false
    guard !buffer.isEmpty, failure == nil else { return spares.append(buffer) }
    queue.append(buffer)
    if mustSync { requestSync() }
  }

  /// Lets the next turn that may begin a sync.
  public func requestSync() { mustSync = true }

  /// Drops records that are durable, at once.
  public func release(upTo sequence: Sequence) {
    let last = min(sequence, medium.durable)
    guard last > medium.released else { return }
    medium.records.removeFirst(Int(last - medium.released))
    medium.released = last
  }

  /// Lets the next turns send and sync everything.
  public func stop() { isStopping = true }

  // MARK: Other threads

  /// Nothing of it lies in a folder.
  public func beginCopy(in storage: any Storage, behind sequence: Sequence) throws(StorageError) {}

  /// Makes all that was sent durable, on one machine; of several, what counts as written is durable already.
  public func persist() throws(StorageError) {
    if let failure { throw failure }
    if medium.kind == .oneMachine { medium.durable = medium.sent }
  }

  /// What was sent, on one machine; of several, what has arrived at most of them.
  public var writtenSequence: Sequence { medium.kind == .oneMachine ? medium.sent : medium.durable }
  /// What a sync has covered.
  public var durableSequence: Sequence { medium.durable }
  /// Only what is durable.
  public var settledSequence: Sequence { medium.durable }
  /// All or nothing.
  public var reservedBytes: Int { isSpaceLow ? 0 : .max }

  /// Sends what was submitted; begins a sync, or goes on with one.
  public func turn() -> NextTurn {
    if failure != nil { return .finished }
    let hasSent = send()
    let hasSynced = goOnSyncing()
    defer { onTheWay.removeAll { $0.last <= writtenSequence } }
    if sync == nil, medium.durable < medium.sent, isSyncDue(hasSent) {
      mustSync = false
      sync = (medium.sent, syncTurns)
      if syncTurns == 0 { finishSync() }
      return .now
    }
    if isStopping, !hasSent, medium.durable == medium.sent { return .finished }
    if hasSent || hasSynced || sync != nil { return .now }
    return medium.durable < medium.sent ? .after(ns: TimeUnits.nsPerMs) : .whenWoken
  }

  private func isSyncDue(_ hasSent: Bool) -> Bool {
    restedTurns = hasSent ? 0 : restedTurns + 1
    return mustSync || isStopping || restedTurns >= Self.lingerTurns
  }

  /// Takes what was submitted into the medium; whether there was anything.
  private func send() -> Bool {
    let hasWork = !queue.isEmpty
    for buffer in queue {
      var rest = UnsafeRawBufferPointer(rebasing: buffer.bytesToWrite()[RecordBuffer.frontBytes...])
      while medium.sent < buffer.lastSequence {
        guard case .frame(let frame) = FoundFrame.parse(rest), frame.sequence == medium.sent + 1 else {
          preconditionFailure("a buffer holds whole records in order")
        }
        medium.records.append(LogMedium.Record(kind: frame.kind, payload: Array(frame.payload)))
        rest = UnsafeRawBufferPointer(rebasing: rest[frame.bytes...])
      }
      counters.batches += 1
      counters.bytes += buffer.byteCount
      onTheWay.append((buffer.lastSequence, buffer.byteCount))
      spares.append(buffer)
    }
    queue.removeAll(keepingCapacity: true)
    return hasWork
  }

  /// One turn of a sync that has begun; whether there was one.
  private func goOnSyncing() -> Bool {
    guard let running = sync else { return false }
    sync?.turns = running.turns - 1
    if running.turns <= 1 { finishSync() }
    return true
  }

  private func finishSync() {
    guard let done = sync else { return }
    medium.durable = max(medium.durable, done.upTo)
    sync = nil
    counters.syncs += 1
  }
}
