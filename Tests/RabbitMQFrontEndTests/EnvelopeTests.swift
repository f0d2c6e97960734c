// Envelopes: byte for byte where nothing changes, and the same meaning in both forms.

import AMQPProtocol
import LineProtocol
import Primitives
import SeededRandom
import Testing

@testable import RabbitMQFrontEnd

@Suite("Envelopes")
struct EnvelopeTests {
  private let reader = RequestReader()

  /// Calls `body` with a record that has these headers and this tag.
  private func withRecord<R>(_ headers: [UInt8], tag: [UInt8] = [], _ body: (MessageRecord) throws -> R) rethrows -> R {
    try headers.withUnsafeBytes { headers in
      try tag.withUnsafeBytes { tag in
        var parts = MessageParts(id: UnsafeRawBufferPointer(start: nil, count: 0), body: tag)
        parts.headers = headers
        parts.tag = tag
        let memory = UnsafeMutableRawPointer.allocate(byteCount: parts.recordLength, alignment: 8)
        defer { memory.deallocate() }
        MessageRecord.write(parts, sequence: 1, dueMs: 0, stampMs: 0, topic: 1, at: memory)
        return try body(MessageRecord(memory))
      }
    }
  }

  private func binary(_ envelope: Envelope) -> [UInt8] {
    var out = ByteBuffer()
    envelope.write(to: &out)
    return Array(out.readable)
  }

  private func shown(_ headers: [UInt8]) -> String? {
    withRecord(headers) { record in
      Envelope(record, reader).map { envelope in
        var out = ByteBuffer()
        envelope.writeFields(to: &out)
        return String(decoding: out.readable, as: UTF8.self)
      }
    }
  }

  private func amqp(_ envelope: Envelope) -> [UInt8] {
    var out = ByteBuffer()
    envelope.writeAMQPProperties(to: &out)
    return Array(out.readable)
  }

  private static let text =
    #"{"exchange":"e","routingKey":"k\u00e9","properties":{"messageId":"\u0041","headers":{"f":1.50,"n":null}}}"#

  @Test("the text of an older version is read, and shown as it was")
  func older() {
    #expect(
      shown(Array(Self.text.utf8))
        == #""exchange":"e","routingKey":"ké","properties":{"messageId":"\u0041","headers":{"f":1.50,"n":null}}"#)
  }

  @Test("what came as JSON is shown byte for byte")
  func json() throws {
    let old = try #require(withRecord(Array(Self.text.utf8)) { Envelope($0, reader) })
    let headers = binary(old)
    #expect(headers[0] == 1 && headers[1] == 0)
    #expect(shown(headers) == shown(Array(Self.text.utf8)))
  }

  /// Made with pika: content_type, headers with every type that it writes, delivery_mode 2, priority 7, timestamp.
  private static let pika: [UInt8] = {
    var table = ByteBuffer()
    table.append(fields: [
      FieldEntry("s", .text("é")), FieldEntry("i", .int32(-5)), FieldEntry("l", .int64(1 << 40)),
      FieldEntry("b", .boolean(true)),
      FieldEntry("t", .timestamp(1_700_000_000)), FieldEntry("x", .bytes([0, 255])), FieldEntry("v", .void),
      FieldEntry("d", .double(1.5)), FieldEntry("D", .decimal(scale: 2, unscaled: 314)),
      FieldEntry("a", .array([.int8(1), .text("x")])),
      FieldEntry("f", .table([FieldEntry("n", .uint16(9))])), FieldEntry("bad", .string([0xFF])),
    ])
    let type = Array("text/plain".utf8)
    var out = ByteBuffer()
    type.withUnsafeBytes { type in
      var basic = BasicProperties()
      basic.contentType = type
      basic.headers = FieldTable(table.readable)
      basic.deliveryMode = 2
      basic.priority = 7
      basic.timestamp = 1_700_000_001
      out.append(basic)
    }
    return Array(out.readable)
  }()

  private func pikaEnvelope(_ body: (Envelope) throws -> Void) throws {
    try Self.pika.withUnsafeBytes { bytes in
      try body(Envelope(exchange: "e", routingKey: "k", amqp: try BasicProperties(reading: bytes)))
    }
  }

  @Test("what came by AMQP goes out by AMQP byte for byte, through a record")
  func amqpStays() throws {
    try pikaEnvelope { envelope in
      let headers = binary(envelope)
      let properties = headers.withUnsafeBytes { EnvelopeView($0).map { Array($0.properties) } }
      #expect(properties == Self.pika)
      let again = try #require(withRecord(headers) { Envelope($0, reader) })
      #expect(amqp(again) == Self.pika)
    }
  }

  @Test("what came by AMQP is shown as JSON")
  func amqpShown() throws {
    try pikaEnvelope { envelope in
      #expect(
        shown(binary(envelope)) == """
          "exchange":"e","routingKey":"k","properties":{"contentType":"text/plain","deliveryMode":2,"priority":7,\
          "timestamp":1700000001,"headers":{"s":"é","i":-5,"l":1099511627776,"b":true,"t":1700000000,"x":"AP8=","v":null,\
          "d":1.5,"D":314e-2,"a":[1,"x"],"f":{"n":9},"bad":"/w=="}}
          """)
    }
  }

  @Test("a death changes only its own headers, in the form of the message")
  func death() throws {
    try pikaEnvelope { envelope in
      var envelope = envelope
      Death(queue: "q", reason: "expired", timeS: 7).note(in: &envelope)
      let bytes = amqp(envelope)
      try bytes.withUnsafeBytes { bytes in
        let table = try #require(try BasicProperties(reading: bytes).headers)
        let before = try Self.pika.withUnsafeBytes {
          Array(try #require(try BasicProperties(reading: $0).headers).bytes)
        }
        #expect(Array(table.bytes.prefix(before.count)) == before)
        let deaths = try #require(table["x-death"].flatMap { FieldValue($0) })
        guard case .array(let entries) = deaths, case .table(let entry)? = entries.first else {
          Issue.record("x-death is no array of tables")
          return
        }
        #expect(entry.first { $0.name == Array("time".utf8) }?.value == .timestamp(7))
        #expect(entry.first { $0.name == Array("count".utf8) }?.value == .int64(1))
      }
    }
  }

  @Test("what came as JSON goes out by AMQP with the same meaning")
  func jsonToAMQP() throws {
    let envelope = try DeathTests.envelope(
      #"{"deliveryMode":2,"timestamp":5,"messageId":"m","headers":{"i":1,"f":1.5,"s":"x","n":null,"o":{"a":[true]},"big":99999999999999999999}}"#
    )
    let bytes = amqp(envelope)
    try bytes.withUnsafeBytes { bytes in
      let basic = try BasicProperties(reading: bytes)
      #expect(basic.deliveryMode == 2 && basic.timestamp == 5)
      #expect(basic.messageID.map { Array($0) } == Array("m".utf8))
      #expect(
        basic.headers?.decoded == [
          FieldEntry("i", .int64(1)), FieldEntry("f", .double(1.5)), FieldEntry("s", .text("x")),
          FieldEntry("n", .void),
          FieldEntry("o", .table([FieldEntry("a", .array([.boolean(true)]))])), FieldEntry("big", .double(1e20)),
        ])
    }
  }

  @Test("blind keys go through the tag and are shown to nobody")
  func blind() throws {
    var envelope = try DeathTests.envelope(#"{"headers":{"BCC":["a","b"],"CC":["c"]}}"#)
    envelope.hideBlindKeys()
    let tag = try #require(envelope.tag)
    let again = try #require(withRecord(binary(envelope), tag: tag) { Envelope($0, reader) })
    #expect(again.routingKeys == ["k", "c", "a", "b"])
    #expect(again.value(header: "BCC") == nil)
  }

  @Test("no envelope that is cut or changed makes more than a nil", arguments: 0..<16)
  func damaged(_ seed: Int) throws {
    var random = SplitMix64(seed: UInt64(seed))
    try pikaEnvelope { envelope in
      let whole = binary(envelope)
      for _ in 0..<400 {
        var bytes = Array(whole.prefix(Int.random(in: 0...whole.count, using: &random)))
        // The properties of a record were checked when it was accepted; what frames them is not taken on trust.
        if !bytes.isEmpty, Bool.random(using: &random) {
          bytes[Int.random(in: 0..<min(8, bytes.count), using: &random)] ^= 1 << UInt8.random(in: 0..<8, using: &random)
        }
        if bytes.count > 1, bytes[0] == 1, bytes[1] == 0 { continue }
        _ = shown(bytes)
      }
    }
  }

  @Test("a header is added to properties as an envelope would add it", arguments: 0..<64)
  func addedHeader(parts: Int) throws {
    var properties = BasicProperties()
    let text = Array("text".utf8)
    var table = ByteBuffer()
    table.append(fields: [FieldEntry("n", .table([FieldEntry("o", .void)])), FieldEntry("x-death", .array([]))])
    try text.withBytes { text in
      if parts & 1 != 0 { properties.contentType = text }
      if parts & 2 != 0 { properties.contentEncoding = text }
      if parts & 4 != 0 { properties.headers = parts & 8 != 0 ? FieldTable(table.readable) : .empty }
      if parts & 16 != 0 { properties.deliveryMode = 2 }
      if parts & 32 != 0 { properties.appID = text }
      var bytes = ByteBuffer()
      bytes.append(properties)
      var added = ByteBuffer()
      let isAdded = added.append(bytes.readable, withHeader: "x-delivery-count", 7)
      #expect(isAdded)
      var envelope = Envelope(exchange: "", routingKey: "", amqp: properties)
      envelope.set(header: "x-delivery-count", .integer(7))
      var expected = ByteBuffer()
      envelope.writeAMQPProperties(to: &expected)
      #expect(Array(added.readable) == Array(expected.readable))
      var again = ByteBuffer()
      let isAddedAgain = again.append(added.readable, withHeader: "x-delivery-count", 8)
      #expect(!isAddedAgain)
      let bytesAppended = again.count
      #expect(bytesAppended == 0)
      _ = try BasicProperties(reading: added.readable)
    }
  }
}
