// Release: what is due is moved into its topic's log, in (time, sequence) order, a bounded number a turn.

import Primitives
import TopicLog

extension Broker {
  /// Releases what is due; one record says how far. O(released + demoted).
  func releaseDue() {
    if let through = pending.planRelease(limit: settings.releasesPerTurn) {
      apply(turn.write(Released(through: through, atMs: nowMs)))
    }
    turn.isReleasing = pending.hasDue
  }

  func apply(_ released: Released) {
    turn.note(released.atMs)
    while let message = pending.nextDue(through: released.through) {
      var offset = Pending.nowhere
      if let topic = topics[message.topic] {
        topic.removePending(bytes: message.record.length)
        if message.record.flags & RecordFlags.expiryTimer != 0 {
          queues.expiryTimerFired(message.record, topic)
        } else {
          offset = topic.log.append(copyOf: message.record, releasedMs: released.atMs)
          if topic.isRelay { queues.noteOverdue(offset, in: topic) }
          topic.noteReleased(leaveMs: message.leaveMs, sequence: message.sequence)
          if !turn.isReplaying { noteReleased(topic, lateMs: released.atMs - message.leaveMs) }
        }
      }
      pending.released(message, to: offset, atMs: released.atMs)
    }
    pending.released(through: released.through)
  }

  private func noteReleased(_ topic: Topic, lateMs: Int64) {
    turn.counters.released += 1
    turn.counters.latenessMs.add(lateMs)
    groups.grown(topic)
  }
}
