// The log of one machine: segment files behind the seam, with group commit: one write and one fdatasync serve every buffer
// that arrived while the last one ran.
//
// Holds:
//   - buffers are written in the order of submission; `writtenSequence` and `durableSequence` are published only after the
//     call behind them has returned;
//   - after a failed write or sync nothing is written again, and `failure` says why for ever;
//   - a full disk found while making the next segment ready is `isSpaceLow`, not a failure, until the reserve is used up.
// Leaves to others: segments (SegmentWriter, JournalReader), keeping the identity (it stands in the checkpoint file), the
// thread and its waiting (`run` takes the waiting as a closure; a simulator calls `turn` itself), limits on bytes in flight.

import DecisionLog
import Primitives
import Synchronization

/// A journal in the folder `journal`, and the thread that writes it.
public final class JournalLog: DecisionLog, @unchecked Sendable {
  struct Shared {
    var queue: [RecordBuffer] = []
    /// Whether something waits for what is in the queue.
    var mustSync = false
    var pool = RecordBufferPool()
    var failure: StorageError?
    var counters = LogCounters()
  }

  /// After this long without a sync that somebody waits for, what is written is synced anyway.
  static let lingerNs: Int64 = 100_000_000
  /// How long after a full disk the next segment is tried again.
  static let spaceRetryNs: Int64 = 1_000_000_000
  static let folder = "journal"

  /// Stands in every segment (the store) and in the checkpoint file (all of it).
  public let identity: LogIdentity
  /// Only one process at a time has the folder, so nobody else can deliver.
  public var deliveryRule: DeliveryRule { .withoutOwnRecord }
  /// Space comes back in whole segments.
  public var releaseGrainBytes: Int { settings.segmentBytes }

  let storage: any Storage
  let settings: JournalSettings
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
  let written = Atomic<Sequence>(0)
  let durable = Atomic<Sequence>(0)
  let inFlight = Atomic(0)
  let reserve = Atomic(0)

  // Set by `recover` and `begin`, before there is another thread.
  var recovered: RecoveredJournal?
  var begunWriter: SegmentWriter?

  // The journal thread's own.
  var taken: [RecordBuffer] = []
  var releasedDone: Sequence = 0
  var unsyncedSinceNs: Int64?
  var spaceRetryAtNs: Int64 = .min
  var isFinished = false

  // The loop's own.
  var nextSequence: Sequence = 1
  private var isBufferOut = false

  /// A journal of the given identity; nothing is read or written yet.
  ///
  /// - Parameters:
  ///   - identity: what the checkpoint says; nil to make a new journal, of an identity drawn from `random`.
  ///   - clock: steady time in ns, for measuring syncs and for intervals.
  ///   - wake: makes the waiting that `run` was given return; called by the loop.
  ///   - notify: tells the loop that sequences, failure or space have changed; called by the journal thread.
  /// - Throws: `.orphaned` when a new journal is to be made and there is one.
  public init(
    _ storage: any Storage, identity: LogIdentity?, settings: JournalSettings = JournalSettings(),
    random: () -> StoreID, clock: @escaping @Sendable () -> Int64, wake: @escaping @Sendable () -> Void,
    notify: @escaping @Sendable () -> Void
  ) throws(LogError) {
    self.identity = if let identity { identity } else { try Self.newIdentity(storage, random) }
    self.storage = storage
    self.settings = settings
    self.clock = clock
    self.wake = wake
    self.notify = notify
  }

  // MARK: The loop

  /// A buffer that was written before, or a new one.
  public func takeBuffer() -> RecordBuffer {
    precondition(!isBufferOut, "one buffer is filled at a time")
    isBufferOut = true
    return shared.withLock { $0.pool.take(nextSequence: nextSequence) }
  }

  /// Hands over a buffer. Without `mustSync` it is synced with the next one that must be, or within 100 ms.
  public func submit(_ buffer: RecordBuffer, mustSync: Bool) {
    precondition(isBufferOut && buffer.firstSequence == nextSequence, "the buffer is the one that was taken")
    isBufferOut = false
    guard !buffer.isEmpty, !hasFailed.load(ordering: .acquiring) else {
      shared.withLock { $0.pool.recycle(buffer) }
      return
    }
    nextSequence = buffer.nextSequence
    inFlight.wrappingAdd(buffer.byteCount, ordering: .relaxed)
    shared.withLock {
      $0.queue.append(buffer)
      $0.mustSync = $0.mustSync || mustSync
    }
    wakeIfParked()
  }

  /// Has the journal thread sync in its next turn.
  public func requestSync() {
    syncIsWanted.store(true, ordering: .sequentiallyConsistent)
    wakeIfParked()
  }

  /// Notes that records up to `sequence` are in a durable checkpoint; segments that hold only such go.
  public func release(upTo sequence: Sequence) {
    released.store(sequence, ordering: .releasing)
    wakeIfParked()
  }

  /// Has the journal thread write and sync what is queued, mark the end as orderly, and end.
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
  /// The last record that a sync has covered.
  public var durableSequence: Sequence { durable.load(ordering: .acquiring) }
  /// Durable, or only written when the policy says so.
  public var settledSequence: Sequence { settings.policy == .always ? durableSequence : writtenSequence }
  /// Bytes queued for the journal thread, or with it.
  public var inFlightBytes: Int { inFlight.load(ordering: .relaxed) }
  /// What a write or a sync failed with.
  public var failure: StorageError? {
    hasFailed.load(ordering: .acquiring) ? shared.withLock { $0.failure } : nil
  }
  /// Whether there was no room on the disk for the next segment.
  public var isSpaceLow: Bool { spaceIsLow.load(ordering: .acquiring) }
  /// Bytes that can be written without more disk space, as of the last turn.
  public var reservedBytes: Int { reserve.load(ordering: .relaxed) }
  /// What the journal thread has done.
  public var counters: LogCounters { shared.withLock { $0.counters } }

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
    // A submit before the store above did not wake this thread, so `hasWork` must be asked; one after the store wakes it.
    if !hasWork { wait(timeoutNs) }
    isParked.store(false, ordering: .sequentiallyConsistent)
  }

  private var hasWork: Bool {
    isStopping.load(ordering: .sequentiallyConsistent) || syncIsWanted.load(ordering: .sequentiallyConsistent)
      || released.load(ordering: .sequentiallyConsistent) > releasedDone
      || shared.withLock { !$0.queue.isEmpty }
  }
}
