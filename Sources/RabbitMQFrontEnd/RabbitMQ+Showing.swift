// Messages as their receivers see them: fields of a line, or the pieces of an AMQP message.
//
// Holds: properties that have the form which the receiver reads are copied as they are.

import Broker
import LineProtocol
import Primitives

/// A message as AMQP sends it. The buffers are lent for one call.
public struct AMQPMessageView {
  /// The exchange that it was published to.
  public let exchange: UnsafeRawBufferPointer
  /// Its routing key.
  public let routingKey: UnsafeRawBufferPointer
  /// Property flags and values.
  public let properties: UnsafeRawBufferPointer
  /// The body.
  public let body: UnsafeRawBufferPointer
}

extension RabbitMQ {
  /// Appends exchange, routing key and properties of a message as the line protocol shows them: fields without braces.
  public func writeFields(of record: MessageRecord, to out: inout ByteBuffer) {
    guard let view = EnvelopeView(record.headers) else {
      // The text of an older version is what is shown.
      return out.append(UnsafeRawBufferPointer(rebasing: record.headers.dropFirst().dropLast()))
    }
    guard view.form == .json else {
      Envelope(record, reader)?.writeFields(to: &out)
      return
    }
    out.append("\"exchange\":")
    out.appendJSONString(view.exchange)
    out.append(",\"routingKey\":")
    out.appendJSONString(view.routingKey)
    out.append(",\"properties\":")
    out.append(view.properties)
  }

  /// Lends `body` the message of a record in the pieces that AMQP sends. What a publisher wrote by AMQP is not copied.
  public func withAMQPMessage(_ record: MessageRecord, _ body: (AMQPMessageView) -> Void) {
    guard let view = EnvelopeView(record.headers), view.form == .amqp, record.bodyEncoding != .json else {
      return withConvertedMessage(record, body)
    }
    body(
      AMQPMessageView(
        exchange: view.exchange, routingKey: view.routingKey, properties: view.properties, body: record.body))
  }

  private func withConvertedMessage(_ record: MessageRecord, _ body: (AMQPMessageView) -> Void) {
    guard let envelope = Envelope(record, reader) else {
      preconditionFailure("a queue holds a message without an envelope")
    }
    envelope.withAMQP { exchange, routingKey, properties in
      let bytes = record.bodyEncoding == .json ? reader.validatedString(record.body) : record.body
      body(AMQPMessageView(exchange: exchange, routingKey: routingKey, properties: properties, body: bytes))
    }
  }
}

extension Envelope {
  /// Lends `body` exchange, routing key and properties as AMQP writes them.
  public func withAMQP(
    _ body: (
      _ exchange: UnsafeRawBufferPointer, _ routingKey: UnsafeRawBufferPointer, _ properties: UnsafeRawBufferPointer
    ) -> Void
  ) {
    var properties = ByteBuffer(capacity: 256)
    writeAMQPProperties(to: &properties)
    exchange.bytes.withBytes { exchange in
      routingKey.bytes.withBytes { body(exchange, $0, properties.readable) }
    }
  }
}
