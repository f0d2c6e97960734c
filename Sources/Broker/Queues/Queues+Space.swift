// Giving the space of a queue's finished messages back.

import Primitives
import TopicLog

extension Queues {
  func trim(_ group: Group) {
    let log = group.topic.log
    let committed = group.committed
    forgetEnded(group)
    let isEmpty = committed == log.nextOffset && log.bytes >= 1 << 20
    guard isEmpty || committed >= log.oldestSegmentEndOffset ?? .max, committed > log.firstOffset else { return }
    topics.apply(turn.write(Trimmed(topic: group.topic.number, firstOffset: committed)))
  }

  /// Frees segments behind a message that waits for long, when all of their messages have ended. Needs no record: a start
  /// from an older checkpoint finds the files again and frees them again. Done each time when an eighth of all messages has
  /// ended.
  private func forgetEnded(_ group: Group) {
    let log = group.topic.log
    guard let queue = group.queue, log.segmentCount > 2,
      UInt64(queue.endedSinceLook) >= (log.nextOffset - group.committed) / 8
    else { return }
    queue.noteLook()
    let cursor = group.cursor
    var used: Set<TopicOffset> = []
    group.outstanding.forEach { used.insert(log.segmentBase(of: $0.pointee.offset)) }
    log.forgetSegments { range in
      if range.upperBound > cursor, !group.endedAhead.contains(all: max(range.lowerBound, cursor)..<range.upperBound) {
        return false
      }
      return range.lowerBound >= cursor || !used.contains(range.lowerBound)
    }
  }
}
