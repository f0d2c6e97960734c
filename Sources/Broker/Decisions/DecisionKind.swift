// The kinds of journal records, by their numbers on disk. A number is never used again for something else.
//
// Leaves to others: the bytes of each kind, a table in the kind's own file (`Cancelled.swift` for `cancelled`, and so on; `held`
// is in `MessageHeld.swift`).

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
