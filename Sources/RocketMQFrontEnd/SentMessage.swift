// The message that a producer sends, read from its request.

import Broker
import LineProtocol
import Primitives

/// A message on its way in. Its buffers are good until the reader's next line; the headers are its own.
struct SentMessage {
  let topic: UnsafeRawBufferPointer
  private let body: RequestBody
  private var tag: UnsafeRawBufferPointer?
  private var key: UnsafeRawBufferPointer?
  private var headers: [UInt8] = []

  /// Reads and checks the fields of `rocketmq.send` and `rocketmq.sendHalf` that make the message.
  init(_ reader: RequestReader) throws(Refusal) {
    topic = try RequestFields.requiredTopic(reader)
    body = try reader.textBody()
    if let tag = try reader.string(.tags) {
      guard TagExpression.isTag(tag) else {
        let text = "one tag of 1 to \(TagExpression.tagBytesMax) bytes, without '|' or blanks around it, and not '*'"
        throw .invalid(.tags, mustBe: text)
      }
      self.tag = tag
    }
    if let key = try reader.string(.shardingKey) {
      guard 1...256 ~= key.count else { throw .invalid(.shardingKey, mustBe: "of 1 to 256 bytes") }
      self.key = key
    }
    headers = try Self.headers(reader)
  }

  /// Calls `body` with the parts, without id.
  func withParts<R>(_ body: (MessageParts) throws(BrokerStop) -> R) throws(BrokerStop) -> R {
    var result: Result<R, BrokerStop>?
    headers.withUnsafeBytes { headers in
      var parts = MessageParts(id: UnsafeRawBufferPointer(start: nil, count: 0), body: self.body.bytes)
      parts.encoding = self.body.encoding
      if let tag { parts.tag = tag }
      if let key { parts.key = key }
      parts.headers = headers
      do throws(BrokerStop) { result = .success(try body(parts)) } catch { result = .failure(error) }
    }
    return try result!.get()
  }

  // MARK: Headers

  private static func headers(_ reader: RequestReader) throws(Refusal) -> [UInt8] {
    var text = ByteBuffer()
    func begin(_ text: inout ByteBuffer) { text.append(text.isEmpty ? "{" : ",") }
    if let keys = try keys(reader) {
      begin(&text)
      text.append("\"KEYS\":")
      text.appendJSONString(keys)
    }
    _ = try reader.objectOfStrings(.properties)
    if var cursor = try reader.object(.properties) {
      while let (name, value) = cursor.next() {
        try requireFree(name)
        begin(&text)
        text.appendJSONString(name)
        text.append(":")
        text.append(value.raw)
      }
    }
    if !text.isEmpty { text.append("}") }
    return Array(text.readable)
  }

  /// The keys as RocketMQ keeps them: one string, joined by blanks. The field is that string or an array.
  private static func keys(_ reader: RequestReader) throws(Refusal) -> String? {
    let keys =
      reader.kind(of: .keys) == .array
      ? try reader.strings(.keys)?.joined(separator: " ") : try reader.text(.keys)
    return keys?.isEmpty == true ? nil : keys
  }

  private static func requireFree(_ name: UnsafeRawBufferPointer) throws(Refusal) {
    let text = String(decoding: name, as: UTF8.self)
    guard !text.isEmpty else { throw .badRequest("field 'properties' has a property without name") }
    guard !PropertyName.reserved.contains(text) else {
      throw .badRequest("field 'properties': the property '\(text)' is used by the system; take another name")
    }
  }
}

/// Fields that several operations read alike.
enum RequestFields {
  static func requiredTopic(_ reader: RequestReader) throws(Refusal) -> UnsafeRawBufferPointer {
    let topic = try requiredString(reader, .topic)
    guard TopicNames.isTopic(topic) else {
      let text = "1 to 128 of A-Z a-z 0-9 . _ - and not '.' or '..', perhaps behind %RETRY% or %DLQ%"
      throw .invalid(.topic, mustBe: text)
    }
    return topic
  }

  static func requiredGroup(_ reader: RequestReader, _ field: FieldName) throws(Refusal) -> UnsafeRawBufferPointer {
    let group = try requiredString(reader, field)
    guard isValidName(group) else {
      throw .invalid(field, mustBe: "1 to 128 of A-Z a-z 0-9 . _ - and not '.' or '..'")
    }
    return group
  }

  static func requiredString(_ reader: RequestReader, _ field: FieldName) throws(Refusal) -> UnsafeRawBufferPointer {
    guard let text = try reader.string(field) else { throw .missing(field) }
    return text
  }

  static func requiredInteger(_ reader: RequestReader, _ field: FieldName) throws(Refusal) -> Int64 {
    guard let value = try reader.integer(field) else { throw .missing(field) }
    return value
  }
}
