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

  /// What the wire's sessions say to a client that is turned away.
  func turnAway(_ reason: String, to bytes: inout ByteBuffer) {
    switch self {
    case .line: LineSession.turnAway(reason, to: &bytes)
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
    }
  }
}

/// The session of a connection.
enum Session {
  case line(LineSession)

  /// For calls that are rare.
  var any: any WireSession {
    switch self {
    case .line(let session): session
    }
  }

  @inline(__always) var isWaiting: Bool {
    switch self {
    case .line(let session): session.isWaiting
    }
  }

  @inline(__always) func receive(_ bytes: UnsafeRawBufferPointer) {
    switch self {
    case .line(let session): session.receive(bytes)
    }
  }

  @inline(__always) func performNext() -> Bool {
    switch self {
    case .line(let session): session.performNext()
    }
  }

  @inline(__always) func deliver(_ delivery: Delivery) {
    switch self {
    case .line(let session): session.deliver(delivery)
    }
  }

  @inline(__always) func turnEnds() {
    switch self {
    case .line(let session): session.turnEnds()
    }
  }
}
