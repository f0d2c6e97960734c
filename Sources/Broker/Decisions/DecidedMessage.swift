// The message of a decision: in parts while the decision is made, a view of the record's bytes once it is written.

import Primitives

/// A message in parts, with everything that its record will say. The parts belong to the caller.
struct MessageDraft {
  var parts: MessageParts
  var sequence: Sequence
  var dueMs: UnixMs
  var stampMs: UnixMs
  var topic: UInt32
}

/// The message of a decision.
enum DecidedMessage {
  /// Not written yet.
  case draft(MessageDraft)
  /// A view of the bytes of a journal record.
  case record(MessageRecord)

  /// Bytes of the message record.
  @inline(__always) var length: Int {
    switch self {
    case .draft(let draft): draft.parts.recordLength
    case .record(let record): record.length
    }
  }

  /// The written message, which a decision has that was written or read.
  @inline(__always) var record: MessageRecord {
    guard case .record(let record) = self else { preconditionFailure("a decision was applied before it was written") }
    return record
  }

  /// Writes the message record to `base`, which has room for `length` bytes.
  @inline(__always) func write(to base: UnsafeMutableRawPointer) {
    switch self {
    case .draft(let draft):
      MessageRecord.write(
        draft.parts, sequence: draft.sequence, dueMs: draft.dueMs, stampMs: draft.stampMs, topic: draft.topic, at: base)
    case .record(let record): base.copyMemory(from: record.base, byteCount: record.length)
    }
  }
}
