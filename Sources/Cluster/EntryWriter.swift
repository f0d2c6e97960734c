// The entries of one leadership, in order: each gets its index, its chain and its place among the records when it is made.
//
// Holds: what is made here is folded as valid, if nobody else's entry comes in between; an entry is made once.
// Leaves to others: sending (ReplicatedLog).

import DecisionLog
import Primitives

/// Makes the entries of an epoch.
public struct EntryWriter: Sendable {
  /// The epoch.
  public let epoch: UInt64
  /// The index that the next entry gets.
  public private(set) var nextIndex: UInt64
  /// The first record that has not ended in an entry.
  public private(set) var nextRecord: Sequence
  private var chain: UInt64

  /// Goes on behind what has been folded: in the current epoch, or with a new one.
  public init(behind position: FoldPosition, newEpoch: Bool) {
    epoch = newEpoch ? position.epoch + 1 : position.epoch
    nextIndex = newEpoch ? 0 : position.index + 1
    nextRecord = position.nextRecord
    chain = position.chain
  }

  /// The entry that begins the epoch.
  public mutating func begin(_ start: EpochStart, serviceMs: UnixMs) -> [UInt8] {
    precondition(nextIndex == 0, "an epoch begins with its first entry")
    return make(.epoch, serviceMs, body: start.encoded()[...])
  }

  /// An entry with the next bytes of the frames. `endedRecords` of them are complete with it; `goesOn` when one is not.
  public mutating func records(
    _ bytes: ArraySlice<UInt8>, endedRecords: Int, goesOn: Bool, serviceMs: UnixMs
  ) -> [UInt8] {
    make(.records, serviceMs, endedRecords: UInt32(endedRecords), goesOn: goesOn, body: bytes)
  }

  /// An entry that says: the leader lives, and its time is this.
  public mutating func heartbeat(serviceMs: UnixMs) -> [UInt8] { make(.heartbeat, serviceMs, body: []) }

  /// An entry that says how far the checkpoint of a node reaches.
  public mutating func checkpointed(_ note: CheckpointNote, serviceMs: UnixMs) -> [UInt8] {
    make(.checkpointed, serviceMs, body: note.encoded()[...])
  }

  /// An entry that says: another one may lead at once.
  public mutating func resign(to node: String, serviceMs: UnixMs) -> [UInt8] {
    make(.resign, serviceMs, body: Array(node.utf8)[...])
  }

  private mutating func make(
    _ kind: Entry.Kind, _ serviceMs: UnixMs, endedRecords: UInt32 = 0, goesOn: Bool = false, body: ArraySlice<UInt8>
  ) -> [UInt8] {
    precondition((nextIndex == 0) == (kind == .epoch), "the first entry of an epoch begins it, and no other")
    let entry = Entry(
      kind, epoch: epoch, index: nextIndex, chain: chain, serviceMs: serviceMs, firstRecord: nextRecord,
      endedRecords: endedRecords, goesOn: goesOn)
    let message = entry.encoded(body: body)
    chain = Entry.chain(behind: message, after: chain)
    nextIndex += 1
    nextRecord += Sequence(endedRecords)
    return message
  }
}
