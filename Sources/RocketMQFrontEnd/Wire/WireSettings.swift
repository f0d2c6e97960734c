// What clients of the remoting protocol are told about this server.

import RemotingProtocol

/// Name server and broker in one.
public struct WireSettings: Sendable {
  /// Queues of a topic for which nothing else was said, 1…`queuesMax`.
  public var queues = 4
  /// `HOST:PORT`, as clients are to connect.
  public var address = "127.0.0.1:9876"
  /// The same as messages carry it; clients that look at a message again connect there.
  public var host = RemotingHost(address: 0x7F00_0001, port: 9876)

  /// Queues of a topic, at most: a message record has a byte for its queue.
  public static let queuesMax = 256
  /// The name of the broker; each shard of a cluster is one.
  public var brokerName = "escapement"
  /// The name of the cluster of brokers: RocketMQ's own default, which tools ask for when they are not told another.
  public static let clusterName = "DefaultCluster"

  /// The defaults.
  public init() {}
}
