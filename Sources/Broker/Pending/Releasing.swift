// Release: what is due is moved into its topic's log, in (time, sequence) order of its lane, a bounded number a turn that the lanes
// share.

import Primitives
import TopicLog

extension Broker {
  /// Releases what is due; one record says how far. O(released + demoted).
  func releaseDue() {
    if let plan = pending.planRelease(limit: settings.releasesPerTurn) {
      apply(turn.write(Released(through: plan.overall, atMs: nowMs, behind: .draft(plan.behind))))
    }
    turn.isReleasing = pending.hasDue
  }

  func apply(_ released: Released) {
    turn.note(released.atMs)
    let watermarks = released.watermarks
    for lane in pending.releasableLanes {
      let limit = watermarks.reached(lane: lane)
      while let message = pending.nextDue(lane, through: limit) { release(message, atMs: released.atMs) }
    }
    pending.released(through: watermarks)
  }

  @inline(__always)
  private func release(_ message: Pending.ReleasingMessage, atMs: UnixMs) {
    var offset = Pending.nowhere
    if let topic = topics[message.topic] {
      topic.removePending(bytes: message.record.length)
      if message.record.flags & RecordFlags.expiryTimer != 0 {
        queues.expiryTimerFired(message.record, topic)
      } else {
        offset = topic.log.append(copyOf: message.record, releasedMs: atMs)
        if topic.isRelay { queues.noteOverdue(offset, in: topic) }
        topic.noteReleased(leaveMs: message.leaveMs, sequence: message.sequence)
        if !turn.isReplaying { noteReleased(topic, lateMs: atMs - message.leaveMs) }
      }
    }
    pending.released(message, to: offset, atMs: atMs)
  }

  private func noteReleased(_ topic: Topic, lateMs: Int64) {
    turn.counters.released += 1
    turn.counters.latenessMs.add(lateMs)
    // Another node may go on from here by another clock, and make other releases: what is shown waits for this one's record.
    if settings.deliveryRule == .afterOwnRecord { topic.noteAppended(by: records.lastSequence) }
    groups.grown(topic)
  }
}
