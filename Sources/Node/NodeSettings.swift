// How a node of a cluster is run.

import NATS
import Server
import TLS

/// The settings of a node.
public struct NodeSettings: Sendable {
  /// As of a single server; each shard is one. Its listeners are those of the node.
  public var server: ServerSettings
  /// How the servers of the stream are reached, and who the node is there.
  public var nats: NATSSettings
  /// The name of this node; unlike that of all others.
  public var name: String
  /// Where clients and other nodes find it: `HOST:PORT` of the line protocol.
  public var advertised: String
  /// How many shards the cluster has; fixed when it is made.
  public var shards = 8
  /// How many servers keep each stream.
  public var replicas = 3
  /// Whether a node without a data folder makes the streams that are not there.
  public var mayCreate = true
  /// Whether a shard's leader gives way to the node that comes first in the shard's order, when that one is ready.
  public var rebalances = true
  /// What nodes show to each other; nil: they come from this machine only.
  public var secret: String?
  /// For connections to other nodes, when they want TLS; nil: they are plain.
  public var peerTLS: TLSContext?
  /// How many bytes the stream of a shard may take before it is full.
  public var streamBytesMax: Int64 = 8 << 30

  /// The largest number of shards: each has threads, a connection and a stream of its own.
  public static let shardsMax = 64

  /// A node with the defaults.
  public init(server: ServerSettings, nats: NATSSettings, name: String, advertised: String) {
    self.server = server
    self.nats = nats
    self.name = name
    self.advertised = advertised
  }
}

/// Why a node does not start.
public struct NodeError: Error, CustomStringConvertible {
  /// What happened and what to do.
  public let description: String
}
