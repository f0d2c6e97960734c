// The kinds of journal records, by their numbers on disk. A number is never used again for something else.
//
// Layouts of the kinds that have no file of their own yet (little-endian, after the journal's own frame):
//   released       i64 due, u64 sequence, i64 at: all messages up to (due, sequence) left then
//   published      i64 at, message record
//   scheduledMany  as often as there are messages: i64 may leave at, message record
//   held           i64 next check, u16 length of the owner, owner, message record
//   heldReleased   u64 sequence in the held record, i64 at: it was appended to its topic
//   heldDropped    u64 sequence in the held record, i64 at
//   heldChecked    u64 sequence in the held record, i64 next check: its owner was asked once more
//   heldAbandoned  u64 sequence in the held record, i64 at, message record: asked for the last time long ago; the record was
//                  appended to its topic, the one for what is abandoned
// The sequence in a message record is its journal record's, times 1024, plus its place in that record.

import DecisionLog
import Primitives

/// Kinds of journal records.
public enum DecisionKind: UInt8, CaseIterable, Sendable {
  case topicCreated = 1
  case topicDeleted, scheduled, cancelled, released, published, groupCreated, delivered, redelivered, acknowledged,
    refused
  case forwarded, moved, trimmed, scheduledMany, returned, held, heldReleased, heldDropped, heldChecked, heldAbandoned
  case enqueued = 24
  case catalogPut, catalogRemoved, rejected, deadLettered, offsetCommitted

  /// The longest message that a record holds, with what stands before it.
  static let messageBytesMax = Frame.payloadBytesMax - 32_768
}
