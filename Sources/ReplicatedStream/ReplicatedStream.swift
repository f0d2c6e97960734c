// The seam of the cluster: a stream of entries that several machines keep in one order.
//
// Holds, for every stream:
//   - a stored entry has one sequence and one run of bytes for ever; sequences are 1, 2, 3, … without gaps, and the only way
//     in which an entry goes away is `truncate(below:)`, from the front;
//   - an append is stored only directly behind the entry that it expects to be the last, and at most once;
//   - what an event says was true: a stored entry survives what the stream is made to survive, and nobody sees an entry
//     (as `.stored`, in the tail, in a read) that is not stored;
//   - each call has exactly one outcome, which comes as an event, never out of the call itself. Outcomes of different calls
//     come in any order.
// What does not hold, and what a user has to live with:
//   - `.unknown` says nothing. The call may have been done, not done, or may still be done later, after its outcome was told:
//     an append that was given up can still be stored, as long as nothing else has taken its place;
//   - a chain of appends in flight is no fence. Behind one that was refused, later ones may still be stored, when somebody
//     else's entry has taken the refused one's place. Which entries count, readers decide;
//   - entries of the tail may be missing, doubled, late and out of order, and all of them are missing while the link is away;
//   - a read may be answered by a machine that is behind: it gives too little, never something wrong. `.nothingYet` is no end;
//   - `last` may be behind, too, when the machine that answers has been replaced without knowing it. Only an append that was
//     stored proves that its `expecting` was the end.
// Leaves to others: what entries mean and which of them count (the fold), who may append (leadership), when to give up.

/// The number of an entry in its stream: 1 is the first one ever stored, 0 stands for "before the first".
public typealias EntrySequence = UInt64

/// A stream of entries, kept by several machines.
///
/// Used by one thread: all calls, and `turn`. Time is whatever monotonic clock the owner has, in ms; it never goes back.
public protocol ReplicatedStream: AnyObject {
  // MARK: What it is

  /// Which stream this is; nil until it was reached for the first time. Never changes after that: when another stream stands
  /// in its place, the link stays away and a problem says so.
  var identity: StreamIdentity? { get }

  /// Whether calls have a chance at the moment.
  var link: StreamLink { get }

  /// How many bytes an entry may have; at least 131 072. Never changes.
  var entryBytesMax: Int { get }

  // MARK: Calls

  /// Stores an entry behind the entry `last`. Several may be in flight, each expecting the one before it.
  ///
  /// Never fails at once: while the link is away the outcome is `.unknown`, told after the next `turn`.
  ///
  /// - Parameters:
  ///   - bytes: 1 to `entryBytesMax`; taken over before the call returns.
  ///   - last: the sequence that the last entry of the stream must have; 0 for an empty stream that never held one.
  /// - Complexity: one copy of the bytes.
  func append(_ bytes: UnsafeRawBufferPointer, expecting last: EntrySequence) -> StreamCall

  /// Reads stored entries in order, from the machine that is at hand.
  ///
  /// - Parameters:
  ///   - first: the sequence to begin with; at least 1.
  ///   - maxBytes: about how many bytes of entries; at least one entry is given all the same. At least 1.
  func read(from first: EntrySequence, maxBytes: Int) -> StreamCall

  /// Asks the machine that leads the stream where the stream begins and ends.
  func last() -> StreamCall

  /// Gives up all entries below `first`, in steps, so that appends in between do not wait long. The last entry of the stream
  /// stays in any case.
  ///
  /// - Parameter first: the first entry to be kept; at least 1.
  func truncate(below first: EntrySequence) -> StreamCall

  // MARK: What has happened

  /// The next thing that has happened; nil when nothing more has. Events come in the order in which they happened.
  func nextEvent() -> StreamEvent?

  // MARK: Time

  /// Does what there is to do at `nowMs`: moves bytes, gives up what waits too long, connects again. Never blocks. To be
  /// called whenever its network is ready, when `nextTurnMs` is reached, and after calls, which leave with it.
  func turn(nowMs: Int64)

  /// When `turn` is to be called at the latest; `Int64.max` for no limit.
  var nextTurnMs: Int64 { get }
}
