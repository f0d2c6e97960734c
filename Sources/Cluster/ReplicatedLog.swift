// The log of several machines: a `DecisionLog` over a replicated stream. A node that follows reads it, one that leads writes it.
//
// Holds, besides what every log promises:
//   - written = durable = committed: a record counts when its entry is valid in the fold of everyone;
//   - what is told as settled is committed, and was settled while this node's lease was good: a leader that has been deposed
//     without knowing it shows nothing any more;
//   - `recover` may be called again and again until `begin`: a follower is a recovery that goes on. It hands over what has come;
//   - one life of an engine has one of these. A leader that is deposed has failed: its engine starts again from its checkpoint,
//     over a new log that goes on from the mark of that checkpoint, on the same stream.
// Leaves to others: which entries count (Fold), when to lead (Leadership), the stream (ReplicatedStream), waiting and threads.

import DecisionLog
import Primitives
import ReplicatedStream
import Synchronization

/// Who the node is, and how it leads.
public struct ReplicatedLogSettings: Sendable {
  /// The name of this node; unlike that of all others.
  public var node: String
  /// Where clients find it.
  public var address: String
  /// Whether the node may begin a log that nobody has begun: not when it has lost the folder of one that was there.
  public var mayBegin = true
  /// Which shard the log is of: it decides the order of the nodes (`Placement`).
  public var shard = 0
  /// Times of leases and campaigns.
  public var leadership = LeadershipSettings()
  /// Bytes of records that may wait to be applied; then reading stops for a while.
  public var waitingBytesMax = 16 << 20
  /// How much the stream may hold; at half of it new messages are refused.
  public var streamBytesMax: UInt64 = 8 << 30
  /// When the stream is truncated.
  public var truncation = TruncationSettings()

  /// A node with the defaults.
  public init(node: String, address: String) {
    self.node = node
    self.address = address
  }
}

/// What the log needs of its surroundings.
public struct ReplicatedLogSurroundings: Sendable {
  /// The boot-time clock, ns.
  public var clock: @Sendable () -> Int64
  /// Service time. It stands in entries for those who compare clocks; decisions carry their own.
  public var serviceMs: @Sendable () -> UnixMs
  /// Random numbers for the identity of a log that is begun.
  public var random: @Sendable () -> StoreID
  /// Makes the waiting of the log's thread return; called by the loop.
  public var wake: @Sendable () -> Void
  /// Tells the loop that something has changed; called by the log's thread.
  public var notify: @Sendable () -> Void

  /// Puts them together.
  public init(
    clock: @escaping @Sendable () -> Int64, serviceMs: @escaping @Sendable () -> UnixMs,
    random: @escaping @Sendable () -> StoreID, wake: @escaping @Sendable () -> Void,
    notify: @escaping @Sendable () -> Void
  ) {
    self.clock = clock
    self.serviceMs = serviceMs
    self.random = random
    self.wake = wake
    self.notify = notify
  }
}

/// A replicated log, of one life.
public final class ReplicatedLog: DecisionLog, @unchecked Sendable {
  struct Shared {
    // From the loop.
    var queue: [RecordBuffer] = []
    var mustSync = false
    var mayLead = false
    var resignation: String?
    var isSeizing = false
    var notes: [CheckpointNote] = []
    // For the loop.
    var pool = RecordBufferPool()
    var folded: FoldedRecords
    var marks: LogMarks
    var identity: LogIdentity?
    /// Who leads the last epochs, for marks.
    var leaders: [UInt64: EpochStart] = [:]
    var status: ReplicationStatus
    var begunEpoch: UInt64?
    var failure: StorageError?
    var counters = LogCounters()
  }

  /// Records that nobody waits for rest so long at most.
  static let lingerNs: Int64 = 100_000_000
  static let nsPerMs: Int64 = 1_000_000

  let stream: any ReplicatedStream
  let settings: ReplicatedLogSettings
  let surroundings: ReplicatedLogSurroundings
  let shared: Mutex<Shared>
  let written: Atomic<Sequence>
  let shown: Atomic<Sequence>
  let leaseEndNs = Atomic<Int64>(.min)
  let inFlight = Atomic(0)
  let spaceIsLow = Atomic(false)
  let isStopping = Atomic(false)
  let syncIsWanted = Atomic(false)

  /// Which stream the checkpoint of this node knows.
  let knownStream: StreamIdentity?

  // The log's thread's own.
  var fold: Fold
  var intake: StreamIntake
  var leadership: Leadership
  var beginning: Beginning?
  var lead: Lead?
  var truncation: Truncation
  /// The nodes that count, by name; a second old at most.
  var alive: [KnownNode] = []
  var lookAtNs: Int64 = .min
  /// The node's place among them and itself.
  var rank = 0
  /// Since when this node has been at the end of the log, and when it was there last.
  var currentSinceNs: Int64?
  var atEndNs: Int64 = .min
  /// What this node looks for when the stream does not go back as far as its checkpoint.
  var search: NodeSearch?
  var isFinished = false
  /// How often a message was not a whole entry.
  var unreadable = 0
  var isPaused = false
  var hasNews = false
  /// Whether the end of the stream was reached once; until then it is asked for again and again.
  var isCurrent = false
  var seekEndAtNs: Int64 = .min

  // The loop's own.
  private var nextSequence: Sequence
  private var isBufferOut = false

  /// A log that goes on from a mark; without one, from the beginning of the stream.
  ///
  /// - Parameter identity: what the checkpoint says; nil when there is none.
  public init(
    _ stream: any ReplicatedStream, from mark: LogMark?, identity: LogIdentity?, settings: ReplicatedLogSettings,
    _ surroundings: ReplicatedLogSurroundings
  ) {
    self.stream = stream
    self.settings = settings
    self.surroundings = surroundings
    let position = mark?.position ?? FoldPosition()
    let nowNs = surroundings.clock()
    fold = Fold(from: position, identity: identity, leader: mark?.leader)
    intake = StreamIntake(nowNs: nowNs)
    leadership = Leadership(settings.leadership, nowNs: nowNs)
    truncation = Truncation(settings.truncation)
    nextSequence = position.nextRecord
    written = Atomic(position.nextRecord - 1)
    shown = Atomic(position.nextRecord - 1)
    let checkpoint = CheckpointNote(
      node: settings.node, address: settings.address, streamSequence: position.streamSequence)
    shared = Mutex(
      Shared(
        folded: FoldedRecords(next: position.nextRecord), marks: LogMarks(position), identity: identity,
        status: ReplicationStatus(checkpoint: checkpoint)))
    knownStream = mark?.knownStream
    if let leader = mark?.leader {
      shared.withLock {
        $0.leaders[position.epoch] = leader
        $0.status.leader = leader
      }
    }
    checkStream()
  }

  // MARK: What it is

  /// Who the log is. Known as soon as the first epoch was read; not asked before `ReplicationStatus.isIdentified`.
  public var identity: LogIdentity {
    guard let identity = shared.withLock({ $0.identity }) else {
      preconditionFailure("the identity of a log is asked when its first epoch was read")
    }
    return identity
  }
  /// Another node may lead while this one still believes that it does.
  public var deliveryRule: DeliveryRule { .afterOwnRecord }
  /// Truncation goes in steps of this.
  public var releaseGrainBytes: Int { 8 << 20 }
  /// What the node is, and how far it has come. Any thread.
  public var status: ReplicationStatus { shared.withLock { $0.status } }
  /// Whether this node may show what it knows: it leads, and its lease is good. Any thread.
  public var mayShow: Bool { surroundings.clock() < leaseEndNs.load(ordering: .acquiring) && failure == nil }

  // MARK: A start, and following

  /// Hands over what has been read from `first` on; more when it is called again. `first` goes on where the last call ended.
  public func recover(
    from first: Sequence, _ mode: RecoveryMode,
    _ apply: (_ sequence: Sequence, _ kind: UInt8, _ payload: UnsafeRawBufferPointer) throws -> Void
  ) throws(LogError) -> RecoveryReport {
    let (runs, begin, end, status) = shared.withLock {
      ($0.folded.takeAll(), $0.folded.next, written.load(ordering: .acquiring) + 1, $0.status)
    }
    if let stop = status.stop { throw LogError(stop == .foreign ? .foreign : .damaged, status.problem ?? "") }
    guard first >= begin else {
      throw LogError(.damaged, "the log is read from record \(begin) on, and record \(first) is needed")
    }
    if first > end, status.isCurrent {
      throw LogError(.damaged, "the log ends before record \(first), which the checkpoint of this node holds")
    }
    var report = RecoveryReport()
    var next = begin
    for run in runs {
      var fault: LogError?
      run.withUnsafeBytes { bytes in
        var rest = bytes
        while !rest.isEmpty, fault == nil {
          guard case .frame(let frame) = FoundFrame.parse(rest), frame.sequence == next else {
            preconditionFailure("the fold hands over whole frames in order")
          }
          if next >= first {
            do { try apply(next, frame.kind, frame.payload) } catch {
              fault = LogError(.unusable, "record \(next) of the log cannot be applied: \(error)")
            }
            report.records += 1
            report.bytes += frame.bytes
          }
          next += 1
          rest = UnsafeRawBufferPointer(rebasing: rest[frame.bytes...])
        }
      }
      if let fault { throw fault }
    }
    report.nextSequence = max(next, first)
    nextSequence = report.nextSequence
    shared.withLock { $0.folded.handedOut(upTo: next) }
    if !runs.isEmpty { surroundings.wake() }
    return report
  }

  /// Takes records from here on. This node leads, and everything of the epochs before was handed over.
  ///
  /// - Throws: `.failed` when it does not lead, or when there is something to be handed over first.
  public func begin() throws(LogError) {
    let hasBegun = shared.withLock { shared in
      guard case .leading(let epoch) = shared.status.role, shared.folded.bytes == 0,
        shared.folded.next == written.load(ordering: .acquiring) + 1, shared.failure == nil
      else { return false }
      shared.begunEpoch = epoch
      return true
    }
    guard hasBegun else { throw LogError(.failed, "this node does not lead the log") }
    nextSequence = written.load(ordering: .acquiring) + 1
  }

  // MARK: The loop

  /// A buffer that was sent before, or a new one.
  public func takeBuffer() -> RecordBuffer {
    precondition(!isBufferOut, "one buffer is filled at a time")
    isBufferOut = true
    return shared.withLock { $0.pool.take(nextSequence: nextSequence) }
  }

  /// Hands over a buffer. Without `mustSync` it is sent with the next one that must be, or within 100 ms.
  public func submit(_ buffer: RecordBuffer, mustSync: Bool) {
    precondition(isBufferOut && buffer.firstSequence == nextSequence, "the buffer is the one that was taken")
    isBufferOut = false
    let isTaken = shared.withLock { shared in
      guard !buffer.isEmpty, shared.failure == nil else {
        shared.pool.recycle(buffer)
        return false
      }
      precondition(shared.begunEpoch != nil, "records are taken by a log that has begun")
      if shared.resignation != nil {
        // Another node goes on behind what was submitted before.
        nextSequence = buffer.nextSequence
        shared.pool.recycle(buffer)
        return false
      }
      shared.queue.append(buffer)
      shared.mustSync = shared.mustSync || mustSync
      return true
    }
    guard isTaken else { return }
    nextSequence = buffer.nextSequence
    inFlight.wrappingAdd(buffer.byteCount, ordering: .relaxed)
    surroundings.wake()
  }

  /// Has everything sent in the next turn.
  public func requestSync() {
    syncIsWanted.store(true, ordering: .sequentiallyConsistent)
    surroundings.wake()
  }

  /// Notes that a durable checkpoint of this node holds the records up to `sequence`. The leader truncates the stream behind
  /// the checkpoints of all nodes; the owner of one that follows tells it (`ReplicationStatus.checkpoint`).
  public func release(upTo sequence: Sequence) {
    shared.withLock { shared in
      guard let place = shared.marks.place(before: sequence) else { return }
      shared.marks.forget(upTo: sequence)
      shared.status.checkpoint.streamSequence = place.streamSequence
      shared.notes.append(shared.status.checkpoint)
    }
    surroundings.wake()
  }

  /// Says what another node has told this one, which leads: it becomes an entry. Of a node that does not lead it is dropped.
  public func note(_ checkpoint: CheckpointNote) {
    shared.withLock { $0.notes.append(checkpoint) }
    surroundings.wake()
  }

  /// Sends what was submitted, then gives the leadership away, and ends.
  public func stop() {
    isStopping.store(true, ordering: .sequentiallyConsistent)
    surroundings.wake()
  }

  /// Gives the leadership to `node` (empty: to any) as soon as everything submitted until now is committed; the log has failed
  /// then, as that of a leader who was deposed. What is submitted after it is dropped: it is never committed, and never shown.
  public func resign(to node: String) {
    shared.withLock { $0.resignation = node }
    surroundings.wake()
  }

  /// Campaigns at once, whoever leads. For operators: a leader that lives is deposed in the middle of its work.
  public func seize() {
    shared.withLock { $0.isSeizing = true }
    surroundings.wake()
  }

  /// Says whether this node may lead: it has applied, or soon will have, all that was read.
  public func setCandidacy(mayLead: Bool) {
    let isNew = shared.withLock { shared in
      defer { shared.mayLead = mayLead }
      return shared.mayLead != mayLead
    }
    if isNew { surroundings.wake() }
  }

  // MARK: Other threads

  /// What counts as written is committed, and nothing more can be done for it.
  public func persist() throws(StorageError) { if let failure { throw failure } }
  /// Nothing of it lies in a folder.
  public func beginCopy(in storage: any Storage, behind sequence: Sequence) throws(StorageError) {}
  /// The place of the stream behind which all records above `sequence` lie, for the checkpoint that holds those up to it.
  public func mark(at sequence: Sequence) -> [UInt8] {
    let (place, leader) = shared.withLock { shared in
      let place = shared.marks.place(before: sequence)
      return (place, place.flatMap { shared.leaders[$0.epoch] })
    }
    guard let stream = stream.identity, let place else {
      preconditionFailure("a checkpoint holds records of this life of the log")
    }
    return LogMark(stream: stream, position: place, leader: leader).encoded()
  }

  /// The last record that is committed.
  public var writtenSequence: Sequence { written.load(ordering: .acquiring) }
  /// The last record that is committed.
  public var durableSequence: Sequence { settledSequence }
  /// The last record that was committed when the lease was good.
  public var settledSequence: Sequence {
    guard mayShow else { return shown.load(ordering: .acquiring) }
    let committed = writtenSequence
    return shown.max(committed, ordering: .acquiringAndReleasing).newValue
  }
  /// Bytes submitted and not committed.
  public var inFlightBytes: Int { inFlight.load(ordering: .relaxed) }
  /// Why this life of the log has ended.
  public var failure: StorageError? { shared.withLock { $0.failure } }
  /// Whether the stream is half full.
  public var isSpaceLow: Bool { spaceIsLow.load(ordering: .acquiring) }
  /// Bytes until the stream is full.
  public var reservedBytes: Int {
    Int(clamping: settings.streamBytesMax - min(settings.streamBytesMax, status.streamBytes))
  }
  /// What has been committed.
  public var counters: LogCounters { shared.withLock { $0.counters } }
}
