// The outside of a message of the RabbitMQ front end, taken apart: exchange, routing key, properties, headers.
//
// Holds: a member that nobody changes is written again byte for byte as its publisher wrote it.
// Leaves to others: how an envelope lies in a record (EnvelopeForm), which values mean what (publishing, Death).

import AMQPProtocol
import Broker
import LineProtocol
import Primitives

/// A property or a header: its value, and the bytes it came as in the envelope's form.
struct EnvelopeMember {
  let key: Text
  /// JSON text, or type and octets of a field; empty for one that has been set since.
  let raw: [UInt8]
  /// Nil for a field that nobody has read.
  private let known: JSONTree?

  init(_ key: Text, _ value: JSONTree, raw: [UInt8] = []) {
    self.key = key
    self.raw = raw
    known = value
  }

  /// A header of AMQP: it is only read when somebody asks for its value. Most are passed on as they are.
  ///
  /// - Parameter field: its type and octets.
  init(_ key: Text, field: [UInt8]) {
    self.key = key
    raw = field
    known = nil
  }

  /// What it says. O(bytes) for a header of AMQP.
  var value: JSONTree {
    if let known { return known }
    return raw.withBytes { raw in
      var values = FieldCursor(array: raw)
      return values.next().map { JSONTree($0.value) } ?? .null
    }
  }
}

/// The outside of a message.
public struct Envelope {
  var exchange: Text
  var routingKey: Text
  /// How the members were written, and will be.
  let form: PropertiesForm
  /// The properties but for `headers`, by their names in the line protocol.
  var properties: [EnvelopeMember] = []
  /// The `headers` of the properties; nil when there are none.
  var headers: [EnvelopeMember]?
  /// The keys that stood in the header `BCC`.
  var blindKeys: [Text] = []

  /// An envelope whose properties are those of a request: a JSON object, checked.
  init(exchange: Text, routingKey: Text, json properties: ObjectCursor?) {
    self.exchange = exchange
    self.routingKey = routingKey
    form = .json
    guard var cursor = properties else { return }
    while let (key, value) = cursor.next() {
      if key.elementsEqual("headers".utf8), var object = value.object() {
        headers = []
        while let (key, value) = object.next() { headers!.append(Self.member(key, value)) }
      } else {
        self.properties.append(Self.member(key, value))
      }
    }
  }

  private static func member(_ key: UnsafeRawBufferPointer, _ value: JSONValue) -> EnvelopeMember {
    EnvelopeMember(Text(key), JSONTree(value), raw: Array(value.raw))
  }

  /// An envelope whose properties came by AMQP.
  init(exchange: Text, routingKey: Text, amqp given: BasicProperties) {
    self.exchange = exchange
    self.routingKey = routingKey
    form = .amqp
    forEachProperty(of: given) { key, value in properties.append(EnvelopeMember(key, value)) }
    headers = given.headers.map { table in
      table.fields.map { field in
        EnvelopeMember(Text(field.name), field: Array(field.raw.dropFirst(1 + field.name.count)))
      }
    }
  }

  /// The envelope of a record; nil for what is none. `reader` reads those in JSON.
  init?(_ record: MessageRecord, _ reader: RequestReader) {
    if let view = EnvelopeView(record.headers) {
      self.init(view, reader)
    } else {
      self.init(text: record.headers, reader)
    }
    setTag(record.tag)
  }

  private init?(_ view: EnvelopeView, _ reader: RequestReader) {
    let (exchange, key) = (Text(view.exchange), Text(view.routingKey))
    switch view.form {
    case .json:
      self.init(exchange: exchange, routingKey: key, json: reader.validatedObject(view.properties))
    case .amqp:
      guard let properties = try? BasicProperties(reading: view.properties) else { return nil }
      self.init(exchange: exchange, routingKey: key, amqp: properties)
    }
  }

  /// The text of older versions.
  private init?(text: UnsafeRawBufferPointer, _ reader: RequestReader) {
    do throws(Refusal) {
      try reader.parse(text)
      guard let exchange = try reader.string(.exchange), let key = try reader.string(.routingKey) else { return nil }
      self.init(exchange: Text(exchange), routingKey: Text(key), json: try reader.object(.properties))
    } catch { return nil }
  }

  // MARK: Members

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

  private func texts(_ header: Text) -> [Text] {
    guard case .array(let elements)? = value(header: header) else { return [] }
    return elements.compactMap(\.text)
  }

  /// Type and octets of a header that came by AMQP; empty when it is not there or has been set since.
  func field(header: Text) -> [UInt8] { headers?.first { $0.key == header }?.raw ?? [] }

  mutating func set(header: Text, _ value: JSONTree) { set(EnvelopeMember(header, value)) }

  /// Sets a header of an envelope that came by AMQP.
  ///
  /// - Parameter field: its type and octets, well formed.
  mutating func set(header: Text, field: [UInt8]) {
    precondition(form == .amqp, "only AMQP has fields")
    set(EnvelopeMember(header, field: field))
  }

  private mutating func set(_ member: EnvelopeMember) {
    if let place = headers?.firstIndex(where: { $0.key == member.key }) {
      headers![place] = member
    } else {
      headers = (headers ?? []) + [member]
    }
  }

  mutating func remove(header: Text) { headers?.removeAll { $0.key == header } }

  /// Sets a property that is there.
  mutating func set(property: Text, _ value: JSONTree) {
    guard let place = properties.firstIndex(where: { $0.key == property }) else { return }
    properties[place] = EnvelopeMember(property, value)
  }

  /// Takes a property away and gives its text, if it was a string.
  mutating func remove(property: Text) -> Text? {
    guard let place = properties.firstIndex(where: { $0.key == property }) else { return nil }
    return properties.remove(at: place).value.text
  }

  // MARK: The record's tag

  /// The blind keys as they stand in a record's tag; nil when they are longer than a tag can be.
  var tag: [UInt8]? {
    var tag: [UInt8] = []
    for key in blindKeys {
      guard let length = UInt16(exactly: key.bytes.count) else { return nil }
      tag += [UInt8(truncatingIfNeeded: length), UInt8(truncatingIfNeeded: length >> 8)] + key.bytes
    }
    return tag.count <= Int(UInt16.max) ? tag : nil
  }

  private mutating func setTag(_ tag: UnsafeRawBufferPointer) {
    var rest = tag[...]
    while let low = rest.popFirst(), let high = rest.popFirst() {
      let length = Int(low) | Int(high) << 8
      blindKeys.append(Text(rest.prefix(length)))
      rest = rest.dropFirst(length)
    }
  }

  // MARK: Writing

  /// Appends it as the headers of a record.
  func write(to out: inout ByteBuffer) {
    exchange.bytes.withBytes { exchange in
      routingKey.bytes.withBytes { out.appendEnvelope(exchange: exchange, routingKey: $0, form) }
    }
    switch form {
    case .json: writeJSONProperties(to: &out)
    case .amqp: writeAMQPProperties(to: &out)
    }
  }

  /// Appends `"exchange"`, `"routingKey"` and `"properties"`, as the line protocol shows them.
  public func writeFields(to out: inout ByteBuffer) {
    out.append("\"exchange\":")
    exchange.write(to: &out)
    out.append(",\"routingKey\":")
    routingKey.write(to: &out)
    out.append(",\"properties\":")
    writeJSONProperties(to: &out)
  }

  private func writeJSONProperties(to out: inout ByteBuffer) {
    out.append("{")
    writeMembers(properties, to: &out)
    if let headers {
      if !properties.isEmpty { out.append(",") }
      out.append("\"headers\":{")
      writeMembers(headers, to: &out)
      out.append("}")
    }
    out.append("}")
  }

  private func writeMembers(_ members: [EnvelopeMember], to out: inout ByteBuffer) {
    for (place, member) in members.enumerated() {
      if place > 0 { out.append(",") }
      member.key.write(to: &out)
      out.append(":")
      if form == .json, !member.raw.isEmpty {
        member.raw.withUnsafeBytes { out.append($0) }
      } else {
        member.value.write(to: &out)
      }
    }
  }

  /// Appends the properties as AMQP writes them: flags and values.
  public func writeAMQPProperties(to out: inout ByteBuffer) {
    var table = ByteBuffer()
    for header in headers ?? [] where header.key.bytes.count <= EnvelopeView.nameBytesMax {
      table.append(byte: UInt8(header.key.bytes.count))
      header.key.bytes.withUnsafeBytes { table.append($0) }
      if form == .amqp, !header.raw.isEmpty {
        header.raw.withUnsafeBytes { table.append($0) }
      } else {
        table.append(header.value.fieldValue)
      }
    }
    let text = PropertyTexts(properties)
    var basic = text.basicProperties
    if headers != nil { basic.headers = FieldTable(table.readable) }
    out.append(basic)
    withExtendedLifetime(text) {}
  }
}
