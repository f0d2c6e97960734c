// A message as it lies in a queue: how exchange, routing key and properties stand in our record's headers.
//
// Layout: `{"exchange":…,"routingKey":…,"properties":{…}}` in the record's headers, the body a JSON string in its body, both
// byte for byte as they came where nothing had to change. A delivery shows this text without its outer braces. The keys of
// `BCC`, which nobody may see, stand in the record's tag: for each its length in two bytes (little-endian) and its bytes.

import Broker
import LineProtocol
import Primitives

/// A property or a header: its value as it came, and read.
struct EnvelopeMember {
  var key: Text
  var raw: [UInt8]
  var value: JSONTree

  init(_ key: UnsafeRawBufferPointer, _ value: JSONValue) {
    self.key = Text(key)
    raw = Array(value.raw)
    self.value = JSONTree(value)
  }

  init(_ key: Text, _ value: JSONTree) {
    self.key = key
    self.value = value
    var out = ByteBuffer()
    value.write(to: &out)
    raw = Array(out.readable)
  }
}

/// The outside of a message.
public struct Envelope {
  var exchange: Text
  var routingKey: Text
  /// The properties but for `headers`.
  var properties: [EnvelopeMember] = []
  /// The `headers` of the properties; nil when there are none.
  var headers: [EnvelopeMember]?
  /// The keys that stood in the header `BCC`.
  var blindKeys: [Text] = []

  init(exchange: Text, routingKey: Text) {
    self.exchange = exchange
    self.routingKey = routingKey
  }

  /// Takes the properties apart.
  mutating func setProperties(_ cursor: ObjectCursor) {
    var cursor = cursor
    while let (key, value) = cursor.next() {
      if key.elementsEqual("headers".utf8), var object = value.object() {
        headers = []
        while let (key, value) = object.next() { headers!.append(EnvelopeMember(key, value)) }
      } else {
        properties.append(EnvelopeMember(key, value))
      }
    }
  }

  func value(header: Text) -> JSONTree? { headers?.first { $0.key == header }?.value }

  /// All headers, for a headers exchange.
  var headerTable: [Text: JSONTree] {
    Dictionary((headers ?? []).lazy.map { ($0.key, $0.value) }) { first, _ in first }
  }

  /// The keys that the message is routed by: its own, and those in the headers `CC` and `BCC`.
  var routingKeys: [Text] { shownKeys + blindKeys }
  /// The same without `BCC`, which nobody may see.
  var shownKeys: [Text] { [routingKey] + texts("CC") }

  /// Takes the header `BCC` away and keeps its keys.
  mutating func hideBlindKeys() {
    blindKeys = texts("BCC")
    remove(header: "BCC")
  }

  /// The blind keys as they stand in a record's tag; nil when they are longer than a tag can be.
  var tag: [UInt8]? {
    var tag: [UInt8] = []
    for key in blindKeys {
      guard let length = UInt16(exactly: key.bytes.count) else { return nil }
      tag += [UInt8(truncatingIfNeeded: length), UInt8(truncatingIfNeeded: length >> 8)] + key.bytes
    }
    return tag.count <= Int(UInt16.max) ? tag : nil
  }

  /// Takes the blind keys out of a record's tag.
  mutating func setTag(_ tag: UnsafeRawBufferPointer) {
    blindKeys = []
    var rest = tag[...]
    while let low = rest.popFirst(), let high = rest.popFirst() {
      let length = Int(low) | Int(high) << 8
      blindKeys.append(Text(rest.prefix(length)))
      rest = rest.dropFirst(length)
    }
  }

  private func texts(_ header: Text) -> [Text] {
    guard case .array(let elements)? = value(header: header) else { return [] }
    return elements.compactMap(\.text)
  }

  mutating func set(header: Text, _ value: JSONTree) {
    let member = EnvelopeMember(header, value)
    if let place = headers?.firstIndex(where: { $0.key == header }) {
      headers![place] = member
    } else {
      headers = (headers ?? []) + [member]
    }
  }

  mutating func remove(header: Text) { headers?.removeAll { $0.key == header } }

  /// Takes a property away and gives its text, if it was a string.
  mutating func remove(property: Text) -> Text? {
    guard let place = properties.firstIndex(where: { $0.key == property }) else { return nil }
    return properties.remove(at: place).value.text
  }

  /// Writes it as the headers of a record.
  func write(to out: inout ByteBuffer) {
    out.append("{")
    writeFields(to: &out)
    out.append("}")
  }

  /// Writes `"exchange"`, `"routingKey"` and `"properties"`, as a delivery shows them.
  public func writeFields(to out: inout ByteBuffer) {
    out.append("\"exchange\":")
    exchange.write(to: &out)
    out.append(",\"routingKey\":")
    routingKey.write(to: &out)
    out.append(",\"properties\":")
    writeMembers(properties, headers, to: &out)
  }

  private func writeMembers(
    _ members: [EnvelopeMember], _ headers: [EnvelopeMember]?, to out: inout ByteBuffer
  ) {
    out.append("{")
    for (place, member) in members.enumerated() {
      if place > 0 { out.append(",") }
      member.key.write(to: &out)
      out.append(":")
      member.raw.withUnsafeBytes { out.append($0) }
    }
    if let headers {
      if !members.isEmpty { out.append(",") }
      out.append("\"headers\":")
      writeMembers(headers, nil, to: &out)
    }
    out.append("}")
  }
}
