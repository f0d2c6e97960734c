// The one way from a journal record to state: a replay decodes a record and applies its decision with the function that also
// applies it when it is made.
//
// Holds: an `apply` decides nothing, writes no record, and does the same from the same state, live and in replay.
// Leaves to others: what each decision changes (the rooms, and the files of the commands that span several rooms).

import DataFiles
import Primitives
import TopicLog

extension Broker {
  /// Applies one record of the journal. Disk work that it needs is submitted to the queue and must be done before the next
  /// `released` record: `drain` does it.
  ///
  /// - Throws: `damaged` when the payload is not what its kind says (its checksum was right, so this is a defect).
  public func replay(sequence: Sequence, kind: UInt8, payload: UnsafeRawBufferPointer, drain: () -> Void)
    throws(StorageError)
  {
    guard let kind = DecisionKind(rawValue: kind) else {
      throw StorageError(
        kind: .damaged, operation: "replay", path: "journal", reason: "record \(sequence) is of unknown kind \(kind)")
    }
    switch kind {
    case .scheduled: pending.apply(Scheduled(decoding: payload))
    case .scheduledMany: pending.apply(ScheduledMany(decoding: payload))
    case .cancelled: pending.apply(Cancelled(decoding: payload))
    case .released:
      let released = Released(decoding: payload)
      pending.bringNear(through: released.watermarks, drain: drain)
      guard failure == nil else { return }
      apply(released)
      evictWhileReplaying(drain: drain)
    case .published: apply(Published(decoding: payload))
    case .held: apply(MessageHeld(decoding: payload))
    case .heldReleased: apply(HeldReleased(decoding: payload))
    case .heldDropped: apply(HeldDropped(decoding: payload))
    case .heldChecked: held.apply(HeldChecked(decoding: payload))
    case .heldAbandoned: apply(HeldAbandoned(decoding: payload))
    case .catalogPut: catalog.apply(CatalogPut(decoding: payload))
    case .catalogRemoved: catalog.apply(CatalogRemoved(decoding: payload))
    case .topicCreated: apply(TopicCreated(decoding: payload))
    case .topicDeleted: apply(TopicDeleted(decoding: payload))
    case .trimmed: topics.apply(Trimmed(decoding: payload))
    case .groupCreated:
      let created = GroupCreated(decoding: payload)
      groups.apply(created, queue: queues.rules(of: topics[created.topic]))
    case .delivered: groups.apply(Delivered(decoding: payload))
    case .redelivered: groups.apply(Redelivered(decoding: payload))
    case .acknowledged: groups.apply(Acknowledged(decoding: payload))
    case .refused: groups.apply(Refused(decoding: payload))
    case .forwarded: groups.apply(Forwarded(decoding: payload))
    case .moved: groups.apply(Moved(decoding: payload))
    case .returned: apply(Returned(decoding: payload))
    case .enqueued: queues.apply(Enqueued(decoding: payload), sequence: sequence)
    case .rejected: groups.apply(Rejected(decoding: payload))
    case .offsetCommitted: apply(OffsetCommitted(decoding: payload))
    case .deadLettered: queues.apply(DeadLettered(decoding: payload), sequence: sequence)
    }
  }
}
