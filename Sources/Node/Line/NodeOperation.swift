// The operations of the line protocol that a node answers itself, besides those of every server.

import LineProtocol

/// An operation about the cluster.
package enum NodeOperation: String, CaseIterable {
  /// What this node knows of each shard.
  case shards
  /// The leader of a shard gives the leadership to a node.
  case moveLeader
  /// This node is to lead a shard, whoever does now.
  case seizeLeader
  /// This node is to show a digest of what it holds of a shard.
  case digestShard

  /// The fields that it takes.
  var fields: FieldSet {
    switch self {
    case .shards: []
    case .moveLeader: [.shard, .to]
    case .seizeLeader, .digestShard: [.shard]
    }
  }
}
