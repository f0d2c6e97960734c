// Group commit: one write and one fdatasync serve every buffer that arrived while the last one ran.
//
// Holds:
//   - buffers are written in the order of submission; `writtenSequence` and `durableSequence` never decrease, and are
//     published only after the call behind them has returned;
//   - after a failed write or sync nothing is written again, and `failure` says why for ever;
//   - a full disk found while making the next segment ready is `isSpaceLow`, not a failure, until the reserve is used up.
// Leaves to others: the thread and its waiting (`run` takes the waiting as a closure; a simulator calls `turn` itself), limits
// on bytes in flight (whoever submits), what a reply waits for (`settledSequence`).

import Primitives
import Synchronization

/// When written records are synced.
public enum SyncPolicy: Equatable, Sendable {
  /// Before anything that waits for them is answered.
  case always
  /// At most so long after the write; a crash of the machine loses up to this much.
  case interval(ms: Int)
  /// When the segment changes and at the end; a crash of the machine loses what the kernel had not written by itself.
  case never
}

/// What has been committed so far.
public struct CommitCounters: Equatable, Sendable {
  /// Buffers written.
  public internal(set) var batches = 0
  /// Syncs on behalf of records.
  public internal(set) var syncs = 0
  /// Bytes written, marks included.
  public internal(set) var bytes = 0
  /// How long the last sync took.
  public internal(set) var lastSyncNs: Int64 = 0
  /// How long the longest sync took.
  public internal(set) var maxSyncNs: Int64 = 0
  /// How long all syncs took together.
  public internal(set) var totalSyncNs: Int64 = 0
}

/// The journal's thread and what others see of it.
///
/// `takeBuffer`, `submit`, `release` and `stop` are for one thread (the loop), `turn` and `run` for another one (the journal
/// thread), the readings for any.
public final class GroupCommit: @unchecked Sendable {
  /// What the journal thread does after a turn.
  public enum NextTurn: Equatable, Sendable {
    /// Go on at once.
    case now
    /// Go on after so many ns, or when woken.
    case after(ns: Int64)
    /// Wait to be woken.
    case whenWoken
    /// The end: everything is durable, or nothing can be written any more.
    case finished
  }

  struct Shared {
    var queue: [RecordBuffer] = []
    var pool: [RecordBuffer] = []
    var failure: StorageError?
    var counters = CommitCounters()
  }

  /// After this long without a sync that somebody waits for, what is written is synced anyway.
  static let lingerNs: Int64 = 100_000_000
  /// How long after a full disk the next segment is tried again.
  static let spaceRetryNs: Int64 = 1_000_000_000
  /// Buffers kept for reuse, and the largest one that is.
  static let pooledBuffersMax = 8
  static let pooledBufferBytesMax = 4 << 20

  let policy: SyncPolicy
  let clock: @Sendable () -> Int64
  let notify: @Sendable () -> Void
  private let wake: @Sendable () -> Void
  let shared = Mutex(Shared())
  private let isParked = Atomic(false)
  let isStopping = Atomic(false)
  let hasFailed = Atomic(false)
  let spaceIsLow = Atomic(false)
  let syncIsWanted = Atomic(false)
  let released = Atomic<Sequence>(0)
  let written: Atomic<Sequence>
  let durable: Atomic<Sequence>
  let inFlight = Atomic(0)
  let reserve: Atomic<Int>

  // The journal thread's own.
  let writer: SegmentWriter
  var taken: [RecordBuffer] = []
  var releasedDone: Sequence = 0
  var unsyncedSinceNs: Int64?
  var spaceRetryAtNs: Int64 = .min
  var isFinished = false

  // The loop thread's own.
  private var nextSequence: Sequence
  private var isBufferOut = false

  /// Sets up; nothing runs yet.
  ///
  /// - Parameters:
  ///   - clock: steady time in ns, for measuring syncs and for intervals.
  ///   - wake: makes the waiting that `run` was given return; called by the loop thread.
  ///   - notify: tells the loop that sequences, failure or space have changed; called by the journal thread.
  public init(
    writer: SegmentWriter, policy: SyncPolicy, clock: @escaping @Sendable () -> Int64,
    wake: @escaping @Sendable () -> Void, notify: @escaping @Sendable () -> Void
  ) {
    self.writer = writer
    self.policy = policy
    self.clock = clock
    self.wake = wake
    self.notify = notify
    written = Atomic(writer.writtenSequence)
    durable = Atomic(writer.durableSequence)
    reserve = Atomic(writer.reservedBytes)
    nextSequence = writer.writtenSequence + 1
  }

  // MARK: The loop thread

  /// An empty buffer that goes on after the last one submitted. One at a time.
  public func takeBuffer() -> RecordBuffer {
    precondition(!isBufferOut, "one buffer is filled at a time")
    isBufferOut = true
    let buffer = shared.withLock { $0.pool.popLast() } ?? RecordBuffer()
    buffer.reset(nextSequence: nextSequence)
    return buffer
  }

  /// Hands over a buffer from `takeBuffer`; an empty one just goes back.
  ///
  /// - Parameter mustSync: whether anything waits for these records to be durable. Without it they are synced with the next
  ///   that must, or within 100 ms.
  public func submit(_ buffer: RecordBuffer, mustSync: Bool) {
    precondition(isBufferOut && buffer.firstSequence == nextSequence, "the buffer is the one that was taken")
    isBufferOut = false
    guard !buffer.isEmpty, !hasFailed.load(ordering: .acquiring) else {
      shared.withLock { Self.recycle(buffer, into: &$0) }
      return
    }
    nextSequence = buffer.nextSequence
    buffer.mustSync = mustSync
    inFlight.wrappingAdd(buffer.byteCount, ordering: .relaxed)
    shared.withLock { $0.queue.append(buffer) }
    wakeIfParked()
  }

  /// Asks for a sync of what was submitted before without one: something waits for it now.
  public func requestSync() {
    syncIsWanted.store(true, ordering: .sequentiallyConsistent)
    wakeIfParked()
  }

  /// Records up to `sequence` are in a durable checkpoint; segments that hold only such go.
  public func release(upTo sequence: Sequence) {
    released.store(sequence, ordering: .releasing)
    wakeIfParked()
  }

  /// Asks the journal thread to write and sync what is queued, and to end.
  public func stop() {
    isStopping.store(true, ordering: .sequentiallyConsistent)
    wakeIfParked()
  }

  private func wakeIfParked() {
    if isParked.exchange(false, ordering: .sequentiallyConsistent) { wake() }
  }

  // MARK: Any thread

  /// The last record handed to the kernel.
  public var writtenSequence: Sequence { written.load(ordering: .acquiring) }
  /// The last record that is durable.
  public var durableSequence: Sequence { durable.load(ordering: .acquiring) }
  /// The last record that replies may tell of: durable, or only written when the policy says so.
  public var settledSequence: Sequence { policy == .always ? durableSequence : writtenSequence }
  /// Bytes submitted and not yet written (and synced, if asked for); to be limited by whoever submits. After a failure it
  /// stays as it is.
  public var inFlightBytes: Int { inFlight.load(ordering: .relaxed) }
  /// Why nothing is written any more; nil while all is well. Never changes once set.
  public var failure: StorageError? {
    hasFailed.load(ordering: .acquiring) ? shared.withLock { $0.failure } : nil
  }
  /// Whether there was no room on the disk for the next segment. Writing goes on in `reservedBytes`.
  public var isSpaceLow: Bool { spaceIsLow.load(ordering: .acquiring) }
  /// Bytes that can be written without more disk space, as of the last turn.
  public var reservedBytes: Int { reserve.load(ordering: .relaxed) }
  /// What has been done so far.
  public var counters: CommitCounters { shared.withLock { $0.counters } }

  // MARK: The journal thread

  /// Turns until `stop` or a failure.
  ///
  /// - Parameter wait: returns when `wake` is called, or has been since the last return, or after so many ns (negative: no
  ///   limit). Returning early does no harm.
  public func run(wait: (_ timeoutNs: Int64) -> Void) {
    while true {
      switch turn() {
      case .finished: return
      case .now: continue
      case .after(let ns): park(ns, wait)
      case .whenWoken: park(-1, wait)
      }
    }
  }

  private func park(_ timeoutNs: Int64, _ wait: (Int64) -> Void) {
    isParked.store(true, ordering: .sequentiallyConsistent)
    // Whoever submitted before the store above has not woken us; whoever comes after it will.
    if !hasWork { wait(timeoutNs) }
    isParked.store(false, ordering: .sequentiallyConsistent)
  }

  private var hasWork: Bool {
    isStopping.load(ordering: .sequentiallyConsistent) || syncIsWanted.load(ordering: .sequentiallyConsistent)
      || released.load(ordering: .sequentiallyConsistent) > releasedDone
      || shared.withLock { !$0.queue.isEmpty }
  }

  static func recycle(_ buffer: RecordBuffer, into shared: inout Shared) {
    if shared.pool.count < pooledBuffersMax && buffer.capacityBytes <= pooledBufferBytesMax {
      shared.pool.append(buffer)
    }
  }
}
