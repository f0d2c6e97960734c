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
  ///
  /// - Parameter deliveryCount: shown as the header `x-delivery-count`; nil for none.
  public func writeFields(of record: MessageRecord, deliveryCount: UInt32? = nil, to out: inout ByteBuffer) {
    if let deliveryCount, let envelope = envelope(of: record, deliveryCount: deliveryCount) {
      return envelope.writeFields(to: &out)
    }
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

  /// The envelope of a record with the header `x-delivery-count`, for who shows a message of a quorum queue; nil when it has no
  /// envelope.
  private func envelope(of record: MessageRecord, deliveryCount: UInt32) -> Envelope? {
    var envelope = Envelope(record, reader)
    envelope?.set(header: "x-delivery-count", .integer(Int64(deliveryCount)))
    return envelope
  }

  /// Lends `body` the message of a record in the pieces that AMQP sends. What a publisher wrote by AMQP is not copied, unless
  /// a header must be added.
  ///
  /// - Parameter deliveryCount: shown as the header `x-delivery-count`; nil for none.
  public func withAMQPMessage(
    _ record: MessageRecord, deliveryCount: UInt32? = nil, _ body: (AMQPMessageView) -> Void
  ) {
    guard let view = EnvelopeView(record.headers), view.form == .amqp, record.bodyEncoding != .json else {
      return withConvertedMessage(record, deliveryCount, body)
    }
    var properties = view.properties
    if let deliveryCount {
      shownProperties.removeAll()
      let isAdded = shownProperties.append(properties, withHeader: "x-delivery-count", Int64(deliveryCount))
      if !isAdded { return withConvertedMessage(record, deliveryCount, body) }
      properties = shownProperties.readable
    }
    body(
      AMQPMessageView(exchange: view.exchange, routingKey: view.routingKey, properties: properties, body: record.body))
  }

  private func withConvertedMessage(
    _ record: MessageRecord, _ deliveryCount: UInt32?, _ body: (AMQPMessageView) -> Void
  ) {
    guard var envelope = Envelope(record, reader) else {
      preconditionFailure("a queue holds a message without an envelope")
    }
    if let deliveryCount { envelope.set(header: "x-delivery-count", .integer(Int64(deliveryCount))) }
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
