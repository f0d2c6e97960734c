// The binary form of an envelope: how exchange, routing key and properties stand in a message record's headers.
//
//   offset  bytes  what
//   0       1      version: 1
//   1       1      form of the properties: 0 JSON, 1 AMQP
//   2       1      length of the exchange's name, then the name
//   …       1      length of the routing key, then the key
//   …       rest   the properties as their publisher wrote them: the text of a JSON object, or AMQP 0-9-1's property flags
//                  and values with the table of headers among them
//
// Records of older versions begin with `{` instead: the text `{"exchange":…,"routingKey":…,"properties":{…}}`.
//
// The keys of the header `BCC`, which nobody may see, stand in the record's tag: for each its length in two bytes
// (little-endian) and its bytes.
//
// Holds: properties are only written anew where they change or where the receiver speaks the other form.
// Leaves to others: what the properties say (Envelope), the text of older versions (RabbitMQ+Publishing).

import Primitives

/// Which form the properties of a message have.
public enum PropertiesForm: UInt8, Sendable {
  /// The text of a JSON object.
  case json = 0
  /// Flags and values of AMQP 0-9-1.
  case amqp = 1
}

/// A view of an envelope in a record's headers; good as long as the record.
public struct EnvelopeView {
  static let version: UInt8 = 1
  /// The longest name of an exchange, and the longest routing key.
  static let nameBytesMax = 255

  /// The exchange that the message was published to.
  public let exchange: UnsafeRawBufferPointer
  /// Its routing key.
  public let routingKey: UnsafeRawBufferPointer
  /// The form of the properties.
  public let form: PropertiesForm
  /// The properties in this form.
  public let properties: UnsafeRawBufferPointer

  /// Looks at the headers of a record; nil for the text of an older version, and for what is no envelope.
  public init?(_ headers: UnsafeRawBufferPointer) {
    guard headers.count >= 4, headers[0] == Self.version, let form = PropertiesForm(rawValue: headers[1]) else {
      return nil
    }
    var rest = headers.dropFirst(2)
    func take() -> UnsafeRawBufferPointer? {
      guard let length = rest.first, rest.count > Int(length) else { return nil }
      defer { rest = rest.dropFirst(1 + Int(length)) }
      return UnsafeRawBufferPointer(rebasing: rest.dropFirst().prefix(Int(length)))
    }
    guard let exchange = take(), let routingKey = take() else { return nil }
    self.exchange = exchange
    self.routingKey = routingKey
    self.form = form
    properties = UnsafeRawBufferPointer(rebasing: rest)
  }
}

extension ByteBuffer {
  /// Appends an envelope up to its properties, which follow in the form named.
  ///
  /// - Precondition: both names have at most 255 bytes.
  public mutating func appendEnvelope(
    exchange: UnsafeRawBufferPointer, routingKey: UnsafeRawBufferPointer, _ form: PropertiesForm
  ) {
    append(byte: EnvelopeView.version)
    append(byte: form.rawValue)
    append(name: exchange)
    append(name: routingKey)
  }

  private mutating func append(name: UnsafeRawBufferPointer) {
    precondition(name.count <= EnvelopeView.nameBytesMax, "a name in an envelope has at most 255 bytes")
    append(byte: UInt8(name.count))
    append(name)
  }
}
