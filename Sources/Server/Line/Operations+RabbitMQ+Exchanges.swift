// rabbitmq.exchangeBind, exchangeUnbind, exchanges, delayed, cancelDelayed: exchanges among themselves, and what is pending in
// those that delay.

import Broker
import LineProtocol
import Primitives
import RabbitMQFrontEnd

extension LineSession {
  func rabbitMQExchangeBind(_ request: Request) throws(RequestStop) {
    let destination = try request.requiredAMQPText(.destination)
    let source = try request.requiredAMQPText(.source)
    let key = try request.amqpText(.routingKey) ?? ""
    let arguments = try request.arguments()
    try requireForBinding(destination, to: source, arguments)
    try replyEmpty(request) { () throws(AMQPError) in
      try rabbitMQChannel.bindExchange(destination, to: source, key, arguments)
    }
  }

  func rabbitMQExchangeUnbind(_ request: Request) throws(RequestStop) {
    let destination = try request.requiredAMQPText(.destination)
    let source = try request.requiredAMQPText(.source)
    let key = try request.amqpText(.routingKey) ?? ""
    let arguments = try request.arguments()
    try requireForBinding(destination, to: source, arguments)
    try replyEmpty(request) { () throws(AMQPError) in
      try rabbitMQChannel.unbindExchange(destination, from: source, key, arguments)
    }
  }

  private func requireForBinding(
    _ destination: Text, to source: Text, _ arguments: [JSONTree.Member]
  ) throws(RequestStop) {
    let isTopic = try amqp { () throws(AMQPError) in try RabbitMQ.leadsToTopic(arguments) }
    try asking { rights throws(MissingRight) in
      try rights.requireForBinding(destination, isTopic: isTopic, source: source)
    }
  }

  func isShown(_ exchange: ListedExchange) -> Bool {
    exchange.name.bytes.withBytes { allows(.inspect, .exchange, $0) }
  }

  /// The exchanges that the client may inspect by name, as of this moment, and how many messages are pending in each.
  func rabbitMQExchanges(_ request: Request) {
    beginReply(request)
    list(",\"exchanges\":[", services.rabbitMQ.exchangesInOrder.filter(isShown), write)
    out.endLine()
  }

  func write(_ exchange: ListedExchange) {
    out.append("{\"exchange\":")
    exchange.name.bytes.withUnsafeBytes { out.appendJSONString($0) }
    out.append(",\"type\":\"")
    out.append(text: exchange.kind.rawValue)
    out.append("\",\"durable\":")
    out.appendBoolean(exchange.isDurable)
    field(",\"pending\":", Int64(exchange.pendingCount))
    out.append("}")
  }

  // MARK: Delayed messages

  private func withRelayTopic(
    _ request: Request, _ body: (UnsafeRawBufferPointer) throws(RequestStop) -> Void
  ) throws(RequestStop) {
    let exchange = try request.requiredAMQPText(.exchange)
    let topic = try amqp { () throws(AMQPError) in try services.rabbitMQ.relayTopic(of: exchange) }
    try topic.withBytes(body)
  }

  func rabbitMQDelayed(_ request: Request) throws(RequestStop) {
    try withRelayTopic(request) { topic throws(RequestStop) in
      try list(request, topic: topic) { writeDelayed($0) }
    }
  }

  func rabbitMQCancelDelayed(_ request: Request) throws(RequestStop) {
    try withRelayTopic(request) { topic throws(RequestStop) in try cancel(request, topic: topic) }
  }

  private func writeDelayed(_ message: ListedMessage) {
    message.bytes.withUnsafeBytes { bytes in
      let record = MessageRecord(bytes.baseAddress!)
      out.append("{\"id\":")
      out.appendJSONString(record.id)
      out.append(",\"deliverAtMs\":")
      out.appendInteger(record.dueMs)
      out.append(",\"routingKey\":")
      guard let envelope = EnvelopeView(record.headers) else {
        preconditionFailure("what is pending in an exchange has an envelope")
      }
      out.appendJSONString(envelope.routingKey)
      out.append("}")
    }
  }
}
