// RabbitMQ: a queue whose messages have times to live, and a dead-letter exchange that moves them into another when they end; the
// usual way to delay with it. All messages of a run have the same delay, so none stands behind a longer-lived one.

import Primitives

final class RabbitMQPeer: Peer {
  static let kind = PeerKind(
    name: "RabbitMQ",
    settings: "durable classic queues, persistent, publisher confirms; expiration and a dead-letter exchange",
    program: "rabbitmq-server", package: "apt install rabbitmq-server"
  ) { folder, _ in RabbitMQPeer(folder) }

  private let node: RabbitMQNode

  private init(_ folder: String) {
    node = RabbitMQNode(folder)
    let wire = AMQPWire(port: node.port)
    wire.declareQueue("ready")
    wire.declareQueue("waiting", AMQPWire.deadLetters(to: "ready"))
  }

  func scheduler() -> any PeerScheduler { Scheduler(AMQPWire(port: node.port)) }
  func receiver() -> any PeerReceiver { Receiver(AMQPWire(port: node.port)) }

  func stop() { node.stop() }

  private final class Scheduler: PeerScheduler {
    private let wire: AMQPWire
    private var confirmed = AMQPConfirmed()
    var connection: LineConnection { wire.connection }

    init(_ wire: AMQPWire) {
      self.wire = wire
      wire.selectConfirms()
    }

    func schedule(_ number: Int, delayMs: Int, to out: inout ByteBuffer) {
      out.append(AMQPMessage(key: "waiting", expirationMs: delayMs).head)
      PeerBody.append(number, dueMs: PeerBody.nowMs() + Int64(delayMs), to: &out)
      out.append(byte: AMQPWire.frameEnd)
    }

    func takeReplies() -> Int { confirmed.take(from: wire) }
  }

  private final class Receiver: PeerReceiver {
    private let wire: AMQPWire

    init(_ wire: AMQPWire) {
      self.wire = wire
      wire.consume("ready", isAcknowledged: true)
    }

    func receive(_ use: (UnsafeRawBufferPointer) -> Void) {
      guard wire.connection.hasUnread || wire.connection.waits(ms: 20) && wire.connection.receive() else { return }
      wire.takeDeliveries(use)
      wire.acknowledge()
    }
  }
}
