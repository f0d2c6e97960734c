// The only place that names all wire protocols.
//
// A call for every message goes through a switch, so that the compiler calls the session directly; rare calls go through
// `any WireSession`. To add a wire: write its session, then add it to `Wire`, to `Session` and to the switches below.

import Broker
import Platform
import Primitives

/// A wire protocol that a listener can speak.
public enum Wire: Sendable {
  /// JSON objects, one a line.
  case line
  /// HTTP, for the operations of the line protocol and for watching.
  case http
  /// AMQP 0-9-1.
  case amqp
  /// RocketMQ's remoting protocol.
  case remoting

  /// Whether it is RocketMQ's.
  package var isRemoting: Bool { if case .remoting = self { true } else { false } }

  /// How it is called in front of people; nil for our own, which needs no name.
  public var name: String? {
    switch self {
    case .line: nil
    case .http: "HTTP"
    case .amqp: "AMQP"
    case .remoting: "RocketMQ"
    }
  }

  /// The setting that says where it is spoken.
  public var settingName: String {
    switch self {
    case .line: "listen"
    case .http: "http"
    case .amqp: "amqp"
    case .remoting: "rocketmq"
    }
  }

  /// What the wire's sessions say to a client that is turned away.
  package func turnAway(_ reason: String, to bytes: inout ByteBuffer) {
    switch self {
    case .line: LineSession.turnAway(reason, to: &bytes)
    case .http: HTTPSession.turnAway(reason, to: &bytes)
    case .amqp: AMQPSession.turnAway(reason, to: &bytes)
    case .remoting: RemotingSession.turnAway(reason, to: &bytes)
    }
  }

  /// A session for a new connection.
  ///
  /// - Parameters:
  ///   - key: the connection's number, by which the broker's consumers name it.
  ///   - peer: where the client is.
  func makeSession(_ services: Services, _ output: Output, key: UInt64, peer: PeerAddress) -> Session {
    switch self {
    case .line: .line(LineSession(services, output, key: key))
    case .http: .http(HTTPSession(services, output, key: key))
    case .amqp: .amqp(AMQPSession(services, output, key: key, peer: peer))
    case .remoting: .remoting(RemotingSession(services, output, key: key, peer: peer))
    }
  }
}

/// The session of a connection.
enum Session {
  case line(LineSession)
  case http(HTTPSession)
  case amqp(AMQPSession)
  case remoting(RemotingSession)

  /// For calls that are rare.
  var any: any WireSession {
    switch self {
    case .line(let session): session
    case .http(let session): session
    case .amqp(let session): session
    case .remoting(let session): session
    }
  }

  @inline(__always) var isWaiting: Bool {
    switch self {
    case .line(let session): session.isWaiting
    case .http(let session): session.isWaiting
    case .amqp(let session): session.isWaiting
    case .remoting(let session): session.isWaiting
    }
  }

  @inline(__always) func receive(_ bytes: UnsafeRawBufferPointer) {
    switch self {
    case .line(let session): session.receive(bytes)
    case .http(let session): session.receive(bytes)
    case .amqp(let session): session.receive(bytes)
    case .remoting(let session): session.receive(bytes)
    }
  }

  @inline(__always) func performNext() -> Bool {
    switch self {
    case .line(let session): session.performNext()
    case .http(let session): session.performNext()
    case .amqp(let session): session.performNext()
    case .remoting(let session): session.performNext()
    }
  }

  @inline(__always) func deliver(_ delivery: Delivery) {
    switch self {
    case .line(let session): session.deliver(delivery)
    case .http(let session): session.deliver(delivery)
    case .amqp(let session): session.deliver(delivery)
    case .remoting(let session): session.deliver(delivery)
    }
  }

  /// Whether deliveries may be sent in front of answers that wait, as far as the session has not closed its output to that.
  /// The clients of other protocols may count on the order.
  @inline(__always) var allowsOvertaking: Bool {
    if case .line = self { true } else { false }
  }

  @inline(__always) func turnEnds() {
    switch self {
    case .line(let session): session.turnEnds()
    case .http(let session): session.turnEnds()
    case .amqp(let session): session.turnEnds()
    case .remoting(let session): session.turnEnds()
    }
  }
}
