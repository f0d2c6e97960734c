// Release: what is due is moved into its topic's log, in (time, sequence) order, a bounded number a turn.

import Primitives
import TopicLog

extension Broker {
  /// Releases what is due; one record says how far. O(released + demoted).
  func releaseDue() {
    guard let through = pending.planRelease(limit: settings.releasesPerTurn) else { return }
    apply(turn.write(Released(through: through, atMs: nowMs)))
  }

  func apply(_ released: Released) {
    turn.note(released.atMs)
    while let message = pending.nextDue(through: released.through) {
      var offset = Pending.nowhere
      if let topic = lastReleased(message.topic) {
        topic.removePending()
        if message.record.flags & RecordFlags.expiryMarker != 0 {
          markerLeft(message.record, topic)
        } else {
          offset = topic.log.append(copyOf: message.record, releasedMs: released.atMs)
          if !isReplaying { noteReleased(topic, lateMs: released.atMs - message.leaveMs) }
        }
      }
      pending.released(message, to: offset, atMs: released.atMs)
    }
    pending.released(through: released.through)
  }

  private func noteReleased(_ topic: Topic, lateMs: Int64) {
    counters.released += 1
    counters.latenessMsSum &+= UInt64(max(0, lateMs))
    appended(topic, by: records.lastSequence)
  }

  /// A topic by number; messages that are due together mostly belong to the same.
  private func lastReleased(_ number: UInt32) -> Topic? {
    if let lastReleased, lastReleased.number == number, lastReleased.isAlive { return lastReleased }
    lastReleased = topics[number]
    return lastReleased
  }
}
