// What a shard is to those who do not run it.

import Cluster
import Primitives

/// A look at a shard.
struct ShardView: Sendable {
  let number: Int
  let status: ReplicationStatus
  /// As people read it: `reading`, `following`, `leading` or `stopped`.
  let role: String
  /// Why it has stopped.
  let stopReason: String?
  /// Whether connections are taken.
  let isServing: Bool

  init(number: Int, status: ReplicationStatus, state: Shard.State = .reading, isServing: Bool = false) {
    self.number = number
    self.status = status
    self.isServing = isServing
    var reason: String?
    role =
      switch state {
      case .reading: "reading"
      case .following: "following"
      case .leading: "leading"
      case .stopped(_, let text):
        {
          reason = text
          return "stopped"
        }()
      }
    stopReason = reason
  }

  /// Who leads, as far as is known, if it is not `node`.
  func leader(otherThan node: String) -> EpochStart? {
    guard let leader = status.leader, leader.node != node else { return nil }
    return leader
  }
}
