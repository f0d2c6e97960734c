// The basic properties of AMQP by their names in the line protocol.
//
// Leaves to others: the headers (Envelope).

import AMQPProtocol
import Primitives

/// Calls `body` for each property that is there, but for the headers, in the order of the specification.
func forEachProperty(of basic: BasicProperties, _ body: (Text, JSONTree) -> Void) {
  func text(_ key: Text, _ value: UnsafeRawBufferPointer?) { if let value { body(key, .string(Text(value))) } }
  text("contentType", basic.contentType)
  text("contentEncoding", basic.contentEncoding)
  if let mode = basic.deliveryMode { body("deliveryMode", .integer(Int64(mode))) }
  if let priority = basic.priority { body("priority", .integer(Int64(priority))) }
  text("correlationId", basic.correlationID)
  text("replyTo", basic.replyTo)
  text("expiration", basic.expiration)
  text("messageId", basic.messageID)
  if let timestamp = basic.timestamp { body("timestamp", .timestamp(timestamp)) }
  text("type", basic.type)
  text("userId", basic.userID)
  text("appId", basic.appID)
  text("clusterId", basic.clusterID)
}

/// Owns the bytes of properties while they are written as AMQP's.
final class PropertyTexts {
  private let members: [Text: JSONTree]
  private var owned: [UnsafeMutableRawBufferPointer] = []

  init(_ properties: [EnvelopeMember]) {
    members = Dictionary(properties.lazy.map { ($0.key, $0.value) }) { first, _ in first }
  }

  deinit { for bytes in owned { bytes.deallocate() } }

  /// The properties without headers, as views of bytes that live as long as this object.
  var basicProperties: BasicProperties {
    var basic = BasicProperties()
    basic.contentType = text("contentType")
    basic.contentEncoding = text("contentEncoding")
    basic.deliveryMode = members["deliveryMode"]?.integer.map { UInt8(clamping: $0) }
    basic.priority = members["priority"]?.integer.map { UInt8(clamping: $0) }
    basic.correlationID = text("correlationId")
    basic.replyTo = text("replyTo")
    basic.expiration = text("expiration")
    basic.messageID = text("messageId")
    basic.timestamp = members["timestamp"]?.integer.map { UInt64(clamping: $0) }
    basic.type = text("type")
    basic.userID = text("userId")
    basic.appID = text("appId")
    basic.clusterID = text("clusterId")
    return basic
  }

  private func text(_ key: Text) -> UnsafeRawBufferPointer? {
    guard let bytes = members[key]?.text?.bytes, bytes.count <= EnvelopeView.nameBytesMax else { return nil }
    let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
    copy.copyBytes(from: bytes)
    owned.append(copy)
    return UnsafeRawBufferPointer(copy)
  }
}
