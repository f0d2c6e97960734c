// The entries of a leader that are not committed yet: made, sent, sent again.
//
// Holds:
//   - at most `entriesMax` and about `bytesMax` of them are on their way, each expecting the one before it;
//   - an entry is committed when it was stored behind what it expected and all before it are committed, or when the fold has it;
//   - after any other outcome nothing is sent until every outcome has come and the fold stands at the end of the stream; then what
//     is not in the fold is sent again, byte for byte: a late copy of an earlier try is refused, void, or the very entry.
// Leaves to others: calls and the fold (ReplicatedLog), who may lead (Leadership).

import DecisionLog
import Primitives
import ReplicatedStream

/// Entries on their way.
struct EntryWindow {
  /// An entry that is not committed.
  struct Pending {
    let message: [UInt8]
    let index: UInt64
    /// The last record that has ended when it is committed.
    let lastRecord: Sequence
    /// When it was sent first; nil before. What was stored may be that copy, however often it was sent again.
    var firstSentNs: Int64?
    var expecting: EntrySequence = 0
    var call: StreamCall?
    var isStored = false
  }

  static let entriesMax = 4
  static let bytesMax = 512 << 10

  private(set) var writer: EntryWriter
  private(set) var pending: [Pending] = []
  /// Calls without an outcome, also those of entries that the tail has committed meanwhile.
  private var open: Set<StreamCall> = []
  /// Whether an outcome was not as it should be, and it is not settled yet what is stored.
  private(set) var isTroubled = false

  /// The window of an epoch whose first entry is committed.
  init(_ writer: EntryWriter) { self.writer = writer }

  /// Whether nothing is left to be committed.
  var isEmpty: Bool { pending.isEmpty }
  /// Whether another entry may be made and sent.
  var hasRoom: Bool {
    !isTroubled && pending.count < Self.entriesMax && pending.reduce(0) { $0 + $1.message.count } < Self.bytesMax
  }
  /// Whether trouble can be settled: no outcome is awaited any more.
  var canSettle: Bool { isTroubled && open.isEmpty }

  /// Adds an entry that `make` makes.
  mutating func add(_ make: (inout EntryWriter) -> [UInt8]) {
    let index = writer.nextIndex
    let message = make(&writer)
    pending.append(Pending(message: message, index: index, lastRecord: writer.nextRecord - 1))
  }

  /// Sends what has not been sent, in order. `end` is where the fold stands.
  mutating func send(behind end: EntrySequence, nowNs: Int64, _ append: ([UInt8], EntrySequence) -> StreamCall) {
    guard !isTroubled else { return }
    var expected = end
    for place in pending.indices {
      if pending[place].call == nil {
        pending[place].firstSentNs = pending[place].firstSentNs ?? nowNs
        pending[place].expecting = expected
        let call = append(pending[place].message, expected)
        pending[place].call = call
        open.insert(call)
      }
      expected = pending[place].expecting + 1
    }
  }

  /// Takes the outcome of a call; false when it is none of the window's.
  mutating func take(_ outcome: AppendOutcome, of call: StreamCall) -> Bool {
    guard open.remove(call) != nil else { return false }
    guard let place = pending.firstIndex(where: { $0.call == call }) else { return true }
    if outcome == .stored(pending[place].expecting + 1) {
      pending[place].isStored = true
    } else {
      isTroubled = true
    }
    return true
  }

  /// The first entry, if it is stored behind what it expected: with all before it committed, so is it.
  var nextStored: Pending? { pending.first.flatMap { $0.isStored ? $0 : nil } }

  /// Takes out what the fold has, up to `index`; gives the last of these.
  mutating func commit(through index: UInt64) -> Pending? {
    var last: Pending?
    while let first = pending.first, first.index <= index { last = pending.removeFirst() }
    return last
  }

  /// The fold stands at the end, no outcome is awaited: what is left was not stored, and is to be sent again.
  mutating func settle() {
    precondition(canSettle, "trouble is settled when no outcome is awaited")
    isTroubled = false
    for place in pending.indices {
      pending[place].call = nil
      pending[place].isStored = false
    }
  }
}
