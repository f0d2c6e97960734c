// Which consumer may read which queue in a group whose members keep an order: one at a time, so that a queue's messages are not
// consumed by two while the members divide the queues anew.
//
// Holds: a lock ends when it was not asked for again for 60 s, whatever became of its holder. Nothing of this outlives the process.
// Source: RocketMQ's `RebalanceLockManager`.

import Primitives
import RemotingProtocol

/// The locks of all groups.
final class QueueLocks {
  static let lockMs: Int64 = 60_000
  /// Locks at a time; beyond it old ones are looked for, and no more are given.
  static let locksMax = 1_000_000

  private struct Key: Hashable {
    let group: String
    let topic: String
    let queueID: Int32
  }

  private var locks: [Key: (holder: String, untilMs: UnixMs)] = [:]

  /// Gives the queues of the request that the client holds from now on.
  func lock(_ request: QueueLockRequest, nowMs: UnixMs) -> [QueueName] {
    if locks.count >= Self.locksMax { locks = locks.filter { $0.value.untilMs > nowMs } }
    return request.queues.filter { queue in
      let key = Key(group: request.group, topic: queue.topic, queueID: queue.queueID)
      if let lock = locks[key] {
        if lock.holder != request.clientID, lock.untilMs > nowMs { return false }
      } else if locks.count >= Self.locksMax {
        return false
      }
      locks[key] = (request.clientID, nowMs + Self.lockMs)
      return true
    }
  }

  /// Ends those of the locks that the client holds.
  func unlock(_ request: QueueLockRequest) {
    for queue in request.queues {
      let key = Key(group: request.group, topic: queue.topic, queueID: queue.queueID)
      if locks[key]?.holder == request.clientID { locks[key] = nil }
    }
  }
}
