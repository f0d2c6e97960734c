// The handshake: header, start, tune, open.

import AMQPProtocol
import Broker
import Primitives
import RabbitMQFrontEnd

/// What a client said of itself.
struct AMQPClientProperties {
  /// It wants to be told when new messages are refused, and when they are taken again.
  var knowsBlocked = false
  /// It wants to be told when a queue goes from under its consumer.
  var knowsCancel = false
  /// It understands a `connection.close` for a login that failed.
  var knowsLoginFailure = false

  init() {}

  init(_ properties: FieldTable) {
    guard let capabilities = properties["capabilities"]?.table else { return }
    knowsBlocked = capabilities["connection.blocked"]?.boolean == true
    knowsCancel = capabilities["consumer_cancel_notify"]?.boolean == true
    knowsLoginFailure = capabilities["authentication_failure_close"]?.boolean == true
  }
}

extension AMQPSession {
  /// The client has said that it speaks our protocol.
  func start() {
    stage = .expectsStartOk
    AMQPHandshake.appendStart(to: &out)
  }

  func startOk(_ frame: MethodFrame) throws(AMQPFault) {
    let method: ConnectionStartOk = try frame.decode()
    client = AMQPClientProperties(method.clientProperties)
    let mechanism = String(decoding: method.mechanism, as: UTF8.self)
    let credentials =
      switch mechanism {
      case "PLAIN": try Credentials(plain: method.response)
      case "AMQPLAIN": try Credentials(amqplain: method.response)
      default:
        throw AMQPFault(.commandInvalid, "unknown authentication mechanism '\(mechanism)'", method: .connectionStartOk)
      }
    identity = AMQPLogin.identity(credentials, from: peer, services)
    guard identity != nil else { return refuseLogin(mechanism) }
    user = Text(credentials.user)
    stage = .expectsTuneOk
    AMQPHandshake.appendTune(to: &out)
  }

  private func refuseLogin(_ mechanism: String) {
    services.counters.refusals += 1
    // A client that does not expect a close takes the end of the connection for the refusal.
    guard client.knowsLoginFailure else { return output.closeNow() }
    close(
      because: AMQPFault(
        .accessRefused,
        "Login was refused using authentication mechanism \(mechanism). For details see the broker logfile.",
        method: .connectionStartOk))
  }

  func tuneOk(_ frame: MethodFrame) throws(AMQPFault) {
    let method: ConnectionTuneOk = try frame.decode()
    channelMax = try negotiated("channel_max", Int(method.channelMax), 0...AMQPLimits.channelMax)
    frameBytesMax = try negotiated(
      "frame_max", Int(method.frameBytesMax), AMQPLimits.frameBytesMin...AMQPLimits.frameBytesMax)
    frames.maxFrameBytes = frameBytesMax
    heartbeat = AMQPHeartbeat(seconds: Int64(method.heartbeatSeconds), nowMs: broker.nowMs)
    stage = .expectsOpen
  }

  /// A client that names no limit of its own (0) is bound by ours.
  private func negotiated(_ name: String, _ value: Int, _ bounds: ClosedRange<Int>) throws(AMQPFault) -> Int {
    if value == 0 { return bounds.upperBound }
    func refused(_ how: String, _ bound: Int) -> AMQPFault {
      AMQPFault(
        .notAllowed, "negotiated \(name) = \(value) is \(how) allowed value (\(bound))", method: .connectionTuneOk)
    }
    if value > bounds.upperBound { throw refused("higher than the maximum", bounds.upperBound) }
    if value < bounds.lowerBound { throw refused("lower than the minimum", bounds.lowerBound) }
    return value
  }

  func openConnection(_ frame: MethodFrame) throws(AMQPFault) {
    let method: ConnectionOpen = try frame.decode()
    let name = String(decoding: method.virtualHost, as: UTF8.self)
    guard let host = services.virtualHosts[name] else {
      throw AMQPFault(.notAllowed, "vhost \(name) not found", method: .connectionOpen)
    }
    rabbitMQ = host
    stage = .open
    out.append(.connectionOpenOk, channel: 0)
    startBeating()
    if broker.refusesMessages { sayWhetherBlocked(true) }
  }
}

/// What is said to every client, whoever it is. A node of a cluster says it before it knows to which shard the client wants.
package enum AMQPHandshake {
  /// The answer to the protocol header.
  package static func appendStart(to out: inout ByteBuffer) {
    AMQPServerProperties.table.withBytes { properties in
      "PLAIN AMQPLAIN".withBytes { mechanisms in
        "en_US".withBytes { locales in
          let start = ConnectionStart {
            $0.versionMinor = 9
            $0.serverProperties = FieldTable(properties)
            $0.mechanisms = mechanisms
            $0.locales = locales
          }
          out.append(start, channel: 0)
        }
      }
    }
  }

  /// The limits that a client may lower.
  package static func appendTune(to out: inout ByteBuffer) {
    let tune = ConnectionTune {
      $0.channelMax = UInt16(AMQPLimits.channelMax)
      $0.frameBytesMax = UInt32(AMQPLimits.frameBytesMax)
      $0.heartbeatSeconds = AMQPLimits.heartbeatSeconds
    }
    out.append(tune, channel: 0)
  }
}

/// What we say of ourselves.
enum AMQPServerProperties {
  private static let capabilities = [
    "publisher_confirms", "exchange_exchange_bindings", "basic.nack", "consumer_cancel_notify", "connection.blocked",
    "consumer_priorities", "authentication_failure_close", "per_consumer_qos", "direct_reply_to",
  ]

  /// The fields of the table, encoded.
  static let table: [UInt8] = {
    var bytes = ByteBuffer()
    bytes.append(fields: [
      FieldEntry("capabilities", .table(capabilities.map { FieldEntry($0, .boolean(true)) })),
      FieldEntry("product", .text("Escapement")),
      FieldEntry("version", .text(ServerVersion.number)),
      FieldEntry("platform", .text("Swift")),
      FieldEntry("copyright", .text("The Escapement authors")),
      FieldEntry("information", .text("A delay-message service that speaks AMQP 0-9-1")),
      FieldEntry("cluster_name", .text("escapement")),
    ])
    return Array(bytes.readable)
  }()
}
