// What all sessions work on: the broker, the front ends, the settings, the counters.
//
// Leaves to others: connections and what is sent when (the loop).

import Broker
import Engine
import HTTPProtocol
import LineProtocol
import Primitives
import RabbitMQFrontEnd
import RocketMQFrontEnd

/// What the loop lends to its sessions.
final class Services {
  let settings: ServerSettings
  let engine: Engine
  let broker: Broker
  let rocketMQ: RocketMQFrontEnd
  let virtualHosts: VirtualHosts
  /// The host `/`, which the line protocol works in.
  var rabbitMQ: RabbitMQ { virtualHosts.standard }
  /// For lines; used by one session at a time.
  let reader = RequestReader()
  /// For frames of the remoting protocol; used by one session at a time.
  let remoting = RemotingScratch()
  /// For objects inside of lines.
  let nestedReader = RequestReader()
  @exclusivity(unchecked) var counters = ServerCounters()
  @exclusivity(unchecked) var clock: ServiceClock
  /// Service time at the start.
  let startedMs: UnixMs
  /// To whom HTTP is spoken.
  let audience: HTTPAudience
  /// Who may come in.
  let admission: Admission
  /// Consumers of HTTP connections that are gone.
  var lingering = Lingering()
  /// About how much memory messages and connections took at the last look.
  var memoryBytes = 0
  /// The snapshot that was asked for last, until its requester has its reply.
  var requestedSnapshot: RequestedSnapshot?
  /// Whether the server is going down.
  var isStopping = false
  private var nextToken: UInt64 = 1

  init(_ settings: ServerSettings, _ engine: Engine, clock: ServiceClock) {
    self.settings = settings
    self.engine = engine
    self.clock = clock
    broker = engine.broker
    rocketMQ = RocketMQFrontEnd(engine.broker)
    rocketMQ.wireSettings.queues = settings.rocketMQQueues
    virtualHosts = VirtualHosts(
      engine.broker, others: settings.virtualHosts, exchangesMax: settings.exchangesMax,
      bindingsMax: settings.bindingsMax)
    startedMs = engine.broker.nowMs
    audience = HTTPAudience(names: settings.hostNames)
    admission = Admission(settings)
  }

  /// A number that no other fetch has.
  func makeToken() -> UInt64 {
    defer { nextToken += 1 }
    return nextToken
  }
}

/// Numbers of the network side, since the start but for the gauge.
struct ServerCounters {
  /// Connections now.
  var connections = 0
  var connectionsAccepted: UInt64 = 0
  var connectionsRefused: UInt64 = 0
  /// Those that took too long for something.
  var connectionsTimedOut: UInt64 = 0
  /// Handshakes of TLS that were finished.
  var handshakes: UInt64 = 0
  var handshakesFailed: UInt64 = 0
  var requests: UInt64 = 0
  var refusals: UInt64 = 0
  var bytesReceived: UInt64 = 0
  var bytesSent: UInt64 = 0
  var turns: UInt64 = 0
  /// Microseconds from the turn in which a request was read to when its reply might be sent.
  var replyUs = Histogram.ofUs
}
