// The records of the journal: what the broker decided. Replaying them decides nothing anew.
//
// Layouts (little-endian, after the journal's own frame):
//   topicCreated   u32 topic, i64 retentionMs, i64 retentionBytes, name
//   topicDeleted   u32 topic
//   scheduled      i64 may leave at, message record
//   cancelled      u64+u64 hash, u32 topic, i64 at
//   released       i64 due, u64 sequence, i64 at: all messages up to (due, sequence) left then
//   published      i64 at, message record
//   groupCreated   u32 group, u32 topic, u64 start offset, name
//   delivered      u32 group, u64 from, u64 to, u32 n, n × (u32 offset - from, top bit: parked; u64 key hash);
//                  n = 0xFFFFFFFF: all of from..<to, without keys
//   redelivered    u32 group, u64 offset
//   acknowledged   u32 group, runs of (u64 start, u32 count)
//   refused        u32 group, i64 until, u64 offset
//   forwarded      u32 group, u64 offset, i64 at, message record: the group is done with the offset, and the record was
//                  appended to its topic (dead letters, and their way back)
//   moved          u32 group, u64 offset
//   trimmed        u32 topic, u64 first offset
//   enqueued       u32 group (0xFFFFFFFF: none), u64 offset, i64 at, u32 n, n × (u32 topic, i64 expires), message record: the
//                  message went to these queues, and the group, if there is one, is done with the offset
//   catalogPut     u32 bytes of the name, name, value
//   catalogRemoved name
//   doomed         u32 group, u8 reason, runs of (u64 start, u32 count): deliveries in a queue that end for this reason; where
//                  they go is asked after it, from the disk if need be
//   scheduledMany  as often as there are messages: i64 may leave at, message record
//   returned       u32 group, u64 offset, i64 may leave at, message record: the group is done with the offset, and the
//                  record, of an id of its own, was scheduled into its topic
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
public enum Decision: UInt8, CaseIterable, Sendable {
  case topicCreated = 1
  case topicDeleted, scheduled, cancelled, released, published, groupCreated, delivered, redelivered, acknowledged,
    refused
  case forwarded, moved, trimmed, scheduledMany, returned, held, heldReleased, heldDropped, heldChecked, heldAbandoned
  case enqueued = 24
  case catalogPut, catalogRemoved, doomed

  static let allDelivered = UInt32.max
  static let parkedBit: UInt32 = 1 << 31
  /// Runs of offsets in one record: 768 KiB of them.
  static let runsMax = 1 << 16
  /// The longest message that a record holds, with what stands before it.
  static let messageBytesMax = Frame.payloadBytesMax - 32_768
}

/// Reads integers off the front of a payload. A short payload is damage: it passed its checksum, so it stops the server.
struct PayloadReader {
  private(set) var rest: UnsafeRawBufferPointer

  init(_ payload: UnsafeRawBufferPointer) { rest = payload }

  mutating func read<T: FixedWidthInteger>(_ type: T.Type) -> T {
    let size = MemoryLayout<T>.size
    precondition(rest.count >= size, "a journal record is shorter than its kind says")
    defer { rest = UnsafeRawBufferPointer(rebasing: rest[size...]) }
    return T(littleEndian: rest.loadUnaligned(as: T.self))
  }

  mutating func skip(_ count: Int) {
    precondition(rest.count >= count, "a journal record is shorter than its kind says")
    rest = UnsafeRawBufferPointer(rebasing: rest[count...])
  }

  var isEmpty: Bool { rest.isEmpty }
}
