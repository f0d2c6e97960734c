// Every setting of the server and every bound of its network side, with defaults.

import Access
import Engine
import Journal
import RabbitMQFrontEnd
import RocketMQFrontEnd
import TLS

/// How a server is run.
public struct ServerSettings: Sendable {
  /// The data folder.
  public var dataFolder = "./escapement-data"
  /// Where to listen.
  public var listeners = [ListenAddress(host: "127.0.0.1", port: 7611, wire: .line)]
  /// The engine's settings.
  public var engine = EngineSettings()
  /// The journal's settings.
  public var journal = JournalSettings()
  /// The longest line, without its newline.
  public var lineBytesMax = 1 << 20
  /// The largest body of a message that comes by AMQP.
  public var messageBytesMax = 16 << 20
  /// Queues of a topic, as RocketMQ clients see it, when nothing else was said; 1…256.
  public var rocketMQQueues = 4
  /// `HOST:PORT` as RocketMQ clients are told to connect; nil for where we listen.
  public var rocketMQAdvertised: (host: String, port: UInt16)?
  /// The virtual hosts that AMQP clients may open besides `/`.
  public var virtualHosts: [VirtualHost] = []
  /// How long an AMQP client may keep a delivery without acknowledging it, where its queue does not say; 0: for ever.
  public var amqpConsumerTimeoutMs: Int64 = 1_800_000
  /// Connections at a time; one more is told `busy` and closed.
  public var connectionsMax = 50_000
  /// Connections from one address at a time; one more is told `busy` and closed.
  public var connectionsPerAddressMax = 50_000
  /// Bytes that wait to be sent on one connection; beyond it nothing more is delivered to it or read from it.
  public var unsentBytesMax = 4 << 20
  /// Bytes on their way to the journal; beyond it no more commands are read.
  public var inFlightBytesMax = 64 << 20
  /// Subscriptions of one connection; also fetches that wait on it, and groups that it fetches for.
  public var subscriptionsMax = 1024
  /// About how much memory messages and connections may take; beyond it new messages are refused with `busy`.
  public var memoryBytesMax = Int.max
  /// Exchanges of the RabbitMQ front end.
  public var exchangesMax = 100_000
  /// Bindings of the RabbitMQ front end.
  public var bindingsMax = 1_000_000
  /// The tokens that `hello` may give; empty: no token is needed, unless there is an access file.
  public var tokens: [String] = []
  /// The access file, read again when the process is told to.
  public var accessPath: String?
  /// Who may come in and what they may do: what the access file says.
  public var access: AccessFile?
  /// The files of TLS, read again when the process is told to; nil: connections are plain.
  public var tlsFiles: TLSFiles?
  /// What was read from them.
  public var tls: TLSContext?
  /// Names that HTTP requests may give this server, beside `localhost` and addresses.
  public var hostNames: [String] = []
  /// How long a client may take for the handshake of TLS, and to say who it is, where it must.
  public var handshakeTimeoutMs: Int64 = 10_000
  /// How long a line, a request of HTTP or a frame of RocketMQ may take to come in once it has begun.
  public var requestTimeoutMs: Int64 = 30_000
  /// How long a connection of HTTP may rest between two requests.
  public var idleTimeoutMs: Int64 = 120_000
  /// How long a connection of the line protocol may rest that waits for no messages; 0: for ever.
  public var lineIdleTimeoutMs: Int64 = 0
  /// Topics with metrics of their own, and groups of each.
  public var metricTopicsMax = 100
  /// A step of the wall clock beyond this is followed, or waited out; smaller differences are slewed.
  public var clockStepMs: Int64 = 1000

  /// Which shard of a cluster it is; nil for a server of its own.
  package var shard: ShardPlace?

  /// The defaults.
  public init() {}
}

/// A shard among those of its cluster.
package struct ShardPlace: Sendable {
  /// Its number, from 0.
  package let number: Int
  /// How many there are.
  package let count: Int
  /// What it is to clients of RocketMQ, and where they find it; nil: nowhere.
  package var rocketMQ: (name: String, host: String, port: UInt16)?

  /// What a shard is called among RocketMQ's brokers.
  package static func brokerName(_ number: Int) -> String { "escapement-\(number)" }
  /// The cluster of those brokers.
  package static let brokerCluster = WireSettings.clusterName

  /// Puts them together.
  package init(number: Int, of count: Int) {
    self.number = number
    self.count = count
  }
}

/// Name and version as shown to clients.
public enum ServerVersion {
  /// The version.
  public static let number = "0.1.0"
  /// Name and version.
  public static let text = "escapement/\(number)"
}
