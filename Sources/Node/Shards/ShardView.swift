// What a shard is to those who do not run it.

import Cluster
import Primitives

/// The state of a shard after a record, as one number.
struct ShardDigest: Sendable {
  let record: Sequence
  let hash: UInt64
}

/// A look at a shard.
struct ShardView: Sendable {
  let number: Int
  let status: ReplicationStatus
  /// As people read it: `reading`, `following`, `leading`, `copying` or `stopped`.
  let role: String
  /// Why it has stopped, or needs the folder of another node.
  let stopReason: String?
  /// Whether connections are taken.
  let isServing: Bool
  /// The one that was asked for last.
  let digest: ShardDigest?

  init(
    number: Int, status: ReplicationStatus, state: Shard.State = .reading, isServing: Bool = false,
    digest: ShardDigest? = nil
  ) {
    self.digest = digest
    self.number = number
    self.status = status
    self.isServing = isServing
    var reason: String?
    role =
      switch state {
      case .reading: "reading"
      case .following: "following"
      case .leading: "leading"
      case .needsFolder(let text):
        {
          reason = text
          return "copying"
        }()
      case .stopped(_, let text):
        {
          reason = text
          return "stopped"
        }()
      }
    stopReason = reason
  }

  /// Whether it has all that the log has, as far as it knows.
  var isReady: Bool { stopReason == nil && status.isConnected && status.isCurrent && role != "reading" }

  /// Who leads, as far as is known, if it is not `node`.
  func leader(otherThan node: String) -> EpochStart? {
    guard let leader = status.leader, leader.node != node else { return nil }
    return leader
  }
}
