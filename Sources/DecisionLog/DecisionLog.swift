// The seam of the log: what the engine needs of whatever keeps its decisions, on one disk, in memory or on several machines.
//
// Holds, for every log:
//   - records have the dense sequences 1, 2, 3, …; they keep the order of submission, and their bytes never change;
//   - durable ≤ settled ≤ written; none of the three ever decreases, and each is published only after what it says is true;
//   - what a start gets from `recover` is a prefix of what was submitted. It contains every record that was durable, every
//     settled one that the settings promise to keep, and every one that a checkpoint rests on;
//   - after a failure nothing is written any more, and no sequence moves;
//   - a record means the same wherever it is read: whatever is random in it comes from `identity`.
// The order of a life: `recover`, `begin`, then buffers and turns, `stop`. After `recover` with `.verify`: nothing more.
// Leaves to others: what records mean (the broker), checkpoints and when to take them (the engine), threads and their waiting
// (the program's assembly), what to show when (whoever has asked for `settledSequence`).

import Primitives

/// A log of decisions.
///
/// Each call says which thread it is for. "The loop" is the thread that owns the broker; "the log's thread" is the one that
/// calls `turn`. A turn of the loop makes a handful of these calls, however many messages it handles: records are written
/// straight into a `RecordBuffer`.
public protocol DecisionLog: AnyObject, Sendable {
  // MARK: What it is

  /// Who the log is, and the key of all hashes in its records. Never changes. Any thread.
  var identity: LogIdentity { get }
  /// What a delivery must wait for. Never changes. Any thread.
  var deliveryRule: DeliveryRule { get }
  /// About how many bytes of records a release must cover before disk space comes back. Never changes. Any thread.
  var releaseGrainBytes: Int { get }

  // MARK: A start, on one thread

  /// Hands over every record from `first` on, in order, once.
  ///
  /// - Parameters:
  ///   - first: the first record that the checkpoint does not hold; 1 without one.
  ///   - mode: what to do about damage, and whether anything may be changed.
  ///   - apply: gets sequence, kind and payload; the payload is good until it returns. What it throws ends the recovery.
  /// - Throws: `.damaged` when records that must be there are not, `.unusable` for what `apply` threw, `.foreign` for the
  ///   records of another log, `.failed` when it cannot be read.
  /// - Complexity: O(bytes) time; memory for a window and the longest record.
  func recover(
    from first: Sequence, _ mode: RecoveryMode,
    _ apply: (_ sequence: Sequence, _ kind: UInt8, _ payload: UnsafeRawBufferPointer) throws -> Void
  ) throws(LogError) -> RecoveryReport

  /// Takes records from here on: the next one gets the sequence that `recover` reported. Everything recovered is durable
  /// when it returns.
  func begin() throws(LogError)

  // MARK: The loop

  /// An empty buffer that goes on behind the last one submitted. One is out at a time.
  func takeBuffer() -> RecordBuffer

  /// Takes back the buffer from `takeBuffer` with its records. Never blocks. An empty buffer, and any after a failure, just
  /// goes back.
  ///
  /// - Parameter mustSync: whether anything waits for these records to be settled. Without it the log may take its time with
  ///   them, but not for ever.
  func submit(_ buffer: RecordBuffer, mustSync: Bool)

  /// Asks that what was submitted without `mustSync` be settled soon: something waits for it now.
  func requestSync()

  /// Says that a durable checkpoint holds all records up to `sequence`: no start will ask for them again. When their space
  /// comes back is the log's affair.
  func release(upTo sequence: Sequence)

  /// Asks the log to settle all that was submitted and to end; `turn` says when that is done. Nothing is submitted after it.
  func stop()

  // MARK: An I/O thread

  /// Makes every record up to `writtenSequence` as durable as the log can make one, whatever its settings say, before a
  /// checkpoint that rests on them. Blocks; may be called beside all other calls.
  func persist() throws(StorageError)

  /// Puts into the folder of a copy what a start there needs of the log, when a checkpoint as of `sequence` stands there: that
  /// nothing follows. A log that is not kept in the folder has nothing to put there. Blocks.
  func beginCopy(in storage: any Storage, behind sequence: Sequence) throws(StorageError)

  /// What a checkpoint that holds the records up to `sequence` must keep besides the number for the log to go on from there;
  /// empty when the number says it all. `sequence` is at or above the last one released.
  func mark(at sequence: Sequence) -> [UInt8]

  // MARK: The log's thread

  /// Does what there is to do without waiting for more.
  func turn() -> NextTurn

  // MARK: Any thread

  /// The last record that only the loss of a machine can take away: the end of this process cannot. A checkpoint may be begun
  /// that rests on it.
  var writtenSequence: Sequence { get }
  /// The last record that nothing takes away that the log is made to survive.
  var durableSequence: Sequence { get }
  /// The last record that answers and deliveries may tell of.
  var settledSequence: Sequence { get }
  /// Bytes submitted and not yet written; whoever submits bounds them. After a failure it stays as it is.
  var inFlightBytes: Int { get }
  /// Why nothing is written any more; nil while all is well. Never changes once set.
  var failure: StorageError? { get }
  /// Whether the log has no room beyond `reservedBytes`. It goes on in these; a release may give it room again.
  var isSpaceLow: Bool { get }
  /// Bytes that can be written before more room is needed.
  var reservedBytes: Int { get }
  /// What has been done since `begin`.
  var counters: LogCounters { get }
}

extension DecisionLog {
  /// Most logs find a record by its number.
  public func mark(at sequence: Sequence) -> [UInt8] { [] }
}

/// What must be settled before a delivery is shown, besides the records that its message's place in the topic follows from.
public enum DeliveryRule: Sendable {
  /// Nothing more. A crash may forget that the message was released, and releases it again to the same offset; or that it was
  /// delivered, and it is delivered again, to the same consumers as before. Enough where one process at a time reads the log.
  case withoutOwnRecord
  /// The delivery's own record, too. Where another process may go on with the log while this one still runs, each of the two
  /// would otherwise deliver the message.
  case afterOwnRecord
}

/// What the log's thread does after a turn.
public enum NextTurn: Equatable, Sendable {
  /// Go on at once.
  case now
  /// Go on after so many ns, or when woken.
  case after(ns: Int64)
  /// Wait to be woken.
  case whenWoken
  /// The end: everything submitted is durable, or nothing can be written any more.
  case finished
}

/// What a log has done since it began.
public struct LogCounters: Equatable, Sendable {
  /// Buffers written.
  public var batches = 0
  /// Syncs on behalf of records.
  public var syncs = 0
  /// Bytes written.
  public var bytes = 0
  /// How long the last sync took.
  public var lastSyncNs: Int64 = 0
  /// How long the longest sync took.
  public var maxSyncNs: Int64 = 0
  /// How long all syncs took together.
  public var totalSyncNs: Int64 = 0
  /// Microseconds that syncs took.
  public var syncUs = Histogram.ofUs

  /// Nothing yet.
  public init() {}
}
