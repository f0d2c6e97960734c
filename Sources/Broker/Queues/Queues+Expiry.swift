// Expiry timers: each waiting message with a time to live has one in the wheel, or on disk when it is far, that fires on its
// millisecond.
//
// What happens when a message expires: `Releasing` releases the timer and calls `expiryTimerFired`, which lists the message as
// overdue. At the end of the turn `Queues.endOverdue` ends it and puts its dead letters into their queues, in one record
// (`DeadLettered`). A message that a consumer has is only marked, and ends when it comes back.
//
// Holds: the record that releases a timer removes it and lists its message as overdue, in replay too. Only a record of its
// own ends the message, so a crash between the two loses nothing. Messages end in the order in which their timers fired.
// Leaves to others: how timers wait (they are pending messages like any other).

import DelayStore
import Primitives
import TopicLog

extension Queues {
  /// Starts the expiry timer of a queued message.
  func startExpiry(of offset: TopicOffset, in topic: Topic, atMs expiresAtMs: UnixMs, _ sequence: Sequence) {
    withTimerID(offset) { id in
      var parts = MessageParts(id: id, body: UnsafeRawBufferPointer(start: nil, count: 0))
      parts.flags = RecordFlags.expiryTimer
      withUnsafeTemporaryAllocation(byteCount: parts.recordLength, alignment: 8) { memory in
        let base = memory.baseAddress!
        MessageRecord.write(
          parts, sequence: sequence, dueMs: expiresAtMs, stampMs: turn.nowMs, topic: topic.number, at: base)
        pending.schedule(
          MessageRecord(base), topic, leaveMs: expiresAtMs, hash: hasher.hash(topic: topic.number, id: id))
      }
    }
  }

  /// Stops an expiry timer, if it has not fired.
  func stopExpiry(of offset: TopicOffset, in topic: Topic) {
    withTimerID(offset) { id in
      pending.withdrawTimer(hasher.hash(topic: topic.number, id: id), topic)
    }
  }

  /// An expiry timer has fired: lists its message as overdue.
  func expiryTimerFired(_ record: MessageRecord, _ topic: Topic) {
    noteOverdue(record.id.loadUnaligned(as: UInt64.self).littleEndian, in: topic)
  }

  private func withTimerID(_ offset: TopicOffset, _ body: (UnsafeRawBufferPointer) -> Void) {
    withUnsafeBytes(of: offset.littleEndian) { body($0) }
  }
}
