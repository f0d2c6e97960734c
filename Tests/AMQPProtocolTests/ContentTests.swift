// Contents: properties read and written, headers refused, messages cut into frames, the order of frames.

import Primitives
import SeededRandom
import Testing

@testable import AMQPProtocol

@Suite("contents")
struct ContentTests {
  /// Properties drawn from a seed, each there or not.
  static func properties(_ random: inout SplitMix64) -> BasicProperties {
    var properties = BasicProperties()
    let texts: [WritableKeyPath<BasicProperties, UnsafeRawBufferPointer?>] = [
      \.contentType, \.contentEncoding, \.correlationID, \.replyTo, \.expiration, \.messageID, \.type, \.userID,
      \.appID, \.clusterID,
    ]
    for text in texts where random.next() & 1 == 1 {
      properties[keyPath: text] = lasting(random.bytes(random.below(256)))
    }
    if random.next() & 1 == 1 { properties.headers = FieldTable(lasting(FieldTableTests.encoded(random.entries()))) }
    if random.next() & 1 == 1 { properties.deliveryMode = UInt8(random.below(3)) }
    if random.next() & 1 == 1 { properties.priority = UInt8(random.below(256)) }
    if random.next() & 1 == 1 { properties.timestamp = random.next() }
    return properties
  }

  @Test("properties encode, decode and encode to the same bytes", arguments: seeds(200))
  func roundTrip(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let encoded = written { $0.append(Self.properties(&random)) }
    let memory = GuardedMemory()
    let decoded = try BasicProperties(reading: memory.copy(encoded))
    #expect(written { $0.append(decoded) } == encoded, replay(seed, "ContentTests"))
    for cut in 0..<encoded.count {
      let bytes = memory.copy(encoded[..<cut])
      #expect(fault { () throws(AMQPFault) in _ = try BasicProperties(reading: bytes) }?.code == .syntaxError)
    }
  }

  @Test("the flags stand for the properties in the specification's order")
  func flags() {
    let empty = UnsafeRawBufferPointer.none
    let setters: [(inout BasicProperties) -> Void] = [
      { $0.contentType = empty }, { $0.contentEncoding = empty }, { $0.headers = .empty },
      { $0.deliveryMode = 1 }, { $0.priority = 1 }, { $0.correlationID = empty }, { $0.replyTo = empty },
      { $0.expiration = empty }, { $0.messageID = empty }, { $0.timestamp = 1 },
      { $0.type = empty }, { $0.userID = empty }, { $0.appID = empty },
      { $0.clusterID = empty },
    ]
    for (index, set) in setters.enumerated() {
      var properties = BasicProperties()
      set(&properties)
      let encoded = written { $0.append(properties) }
      let sizes = [2: 4, 3: 1, 4: 1, 9: 8]
      #expect(encoded.count == 2 + sizes[index, default: 1])
      #expect(UInt16(encoded[0]) << 8 | UInt16(encoded[1]) == 1 << (15 - index))
    }
    #expect(written { $0.append(BasicProperties()) } == [0, 0])
  }

  @Test("flags that name no property are refused", arguments: ["0001", "0002", "800100", ""])
  func unknownFlags(hex: String) {
    bytes(hex: hex).withBytes { bytes in
      #expect(fault { () throws(AMQPFault) in _ = try BasicProperties(reading: bytes) }?.code == .syntaxError)
    }
  }

  @Test("a dead letter keeps everything but its headers and its expiration")
  func deadLetter() throws {
    try payload(ClientBytes.all["pika content header"]!).withBytes { bytes in
      let header = try ContentHeader(bytes)
      let original = try BasicProperties(reading: header.properties)
      var headers = ByteBuffer()
      for field in original.headers!.fields where !field.isNamed("flag") { headers.append(field.raw) }
      headers.append(fields: [FieldEntry("x-death", .array([.table([FieldEntry("count", .int64(1))])]))])
      var letter = original
      letter.headers = FieldTable(headers.readable)
      letter.expiration = nil
      let encoded = written { $0.append(letter) }
      try encoded.withBytes { bytes in
        let read = try BasicProperties(reading: bytes)
        #expect(read.expiration == nil)
        #expect(Array(read.headers!.bytes) == Array(headers.readable))
        #expect(read.headers?["x-delay"]?.integer == 5000 && read.headers?["flag"] == nil)
        var restored = read
        restored.headers = original.headers
        restored.expiration = original.expiration
        #expect(written { $0.append(restored) } == Array(header.properties))
      }
    }
  }

  @Test("a header of another class, with a weight or cut is refused")
  func headers() {
    func code(_ hex: String) -> ReplyCode? {
      bytes(hex: hex).withBytes { bytes in fault { () throws(AMQPFault) in _ = try ContentHeader(bytes) }?.code }
    }
    #expect(code("003c 0000 0000000000000000 0000") == nil)
    #expect(code("003c 0000 0000000000000000 00") == .frameError)
    #expect(code("0032 0000 0000000000000000 0000") == .unexpectedFrame)
    #expect(code("003c 0001 0000000000000000 0000") == .unexpectedFrame)
  }

  @Test(
    "a delivery is a method, a header and as many bodies as it takes",
    arguments: [0, 1, 4087, 4088, 4089, 8176, 8177, 300_000], [4096, 131_072])
  func delivery(bodyBytes: Int, maxFrameBytes: Int) throws {
    var random = SplitMix64(seed: UInt64(bodyBytes))
    let body = random.bytes(bodyBytes)
    let properties = written { $0.append(Self.properties(&random)) }
    let deliver = BasicDeliver {
      $0.consumerTag = lasting("tag")
      $0.deliveryTag = 42
      $0.redelivered = true
      $0.exchange = lasting("ex")
      $0.routingKey = lasting("r.k")
    }
    let encoded = body.withBytes { body in
      properties.withBytes { properties in
        written { $0.append(deliver, channel: 3, properties: properties, body: body, maxFrameBytes: maxFrameBytes) }
      }
    }
    var reader = try openReader(encoded, maxFrameBytes: maxFrameBytes)
    var order = FrameOrder()
    var (bodies, received, frameBytes) = (0, [UInt8](), 0)
    while case .frame(let frame) = try reader.next() {
      #expect(frame.channel == 3)
      frameBytes = max(frameBytes, frame.payload.count + 8)
      switch try order.accept(frame) {
      case .method(let method):
        let deliver = try method.decode(BasicDeliver.self)
        #expect((deliver.consumerTag.text, deliver.routingKey.text) == ("tag", "r.k"))
      case .header(let header):
        #expect(header.bodyBytes == UInt64(bodyBytes))
        #expect(Array(header.properties) == properties)
      case .body(let piece):
        bodies += 1
        received += Array(piece)
      }
    }
    #expect(order.isComplete && received == body && reader.bufferedBytes == 0)
    #expect(bodies == (bodyBytes + maxFrameBytes - 9) / (maxFrameBytes - 8))
    if bodies > 1 { #expect(frameBytes == maxFrameBytes) }
  }

  // The frames of one channel in hex, and what becomes of them.
  static let orders: [(frames: [String], result: ReplyCode?)] = [
    (["method", "publish", "empty header", "method"], nil),
    (["publish", "header 3", "body 1", "body 0", "body 2", "method"], nil),
    (["header 3"], .unexpectedFrame), (["body 1"], .unexpectedFrame), (["publish", "method"], .unexpectedFrame),
    (["publish", "body 1"], .unexpectedFrame), (["publish", "header 3", "header 3"], .unexpectedFrame),
    (["publish", "header 3", "body 1", "publish"], .unexpectedFrame),
    (["publish", "header 3", "body 2", "body 2"], .frameError),
    (["publish", "empty header", "body 1"], .unexpectedFrame),
  ]

  @Test("frames out of order end the connection")
  func order() throws {
    let frames: [String: String] = [
      "method": "01 0001 00000004 005a 000a ce", "publish": "01 0001 00000009 003c 0028 0000 00 00 00 ce",
      "empty header": "02 0001 0000000e 003c 0000 0000000000000000 0000 ce",
      "header 3": "02 0001 0000000e 003c 0000 0000000000000003 0000 ce", "body 0": "03 0001 00000000 ce",
      "body 1": "03 0001 00000001 00 ce", "body 2": "03 0001 00000002 0000 ce",
    ]
    for (names, result) in Self.orders {
      var reader = try openReader(names.flatMap { bytes(hex: frames[$0]!) })
      var order = FrameOrder()
      var ended: ReplyCode?
      while case .frame(let frame) = try reader.next(), ended == nil {
        ended = fault { () throws(AMQPFault) in _ = try order.accept(frame) }?.code
      }
      #expect(ended == result, "\(names)")
      #expect(ended != nil || order.isComplete)
    }
  }
}

@Suite("credentials")
struct CredentialsTests {
  private func plain(_ text: String) -> String? {
    text.withBytes { bytes in (try? Credentials(plain: bytes)).map { "\($0.user.text) \($0.password.text)" } }
  }

  @Test("PLAIN: name and password behind zero octets")
  func plain() {
    #expect(plain("\0guest\0s3cret") == "guest s3cret")
    #expect(plain("\0\0") == " ")
    #expect(plain("\0ü\0→") == "ü →")
    for wrong in ["", "\0", "guest\0guest", "\0guest", "you\0guest\0guest", "\0a\0b\0c"] {
      #expect(plain(wrong) == nil)
      wrong.withBytes { bytes in
        #expect(fault { () throws(AMQPFault) in _ = try Credentials(plain: bytes) }?.code == .syntaxError)
      }
    }
  }

  private func amqplain(_ bytes: [UInt8]) -> String? {
    bytes.withBytes { bytes in (try? Credentials(amqplain: bytes)).map { "\($0.user.text) \($0.password.text)" } }
  }

  @Test("AMQPLAIN: a table without its length")
  func amqplain() {
    let response = Array(ClientBytes.all["py-amqp AMQPLAIN response with its length"]![4...])
    #expect(amqplain(response) == "guest s3cret")
    #expect(amqplain(response.dropLast()) == nil)
    #expect(amqplain([]) == nil)
    #expect(amqplain(FieldTableTests.encoded([FieldEntry("LOGIN", .text("a"))])) == nil)
    #expect(
      amqplain(FieldTableTests.encoded([FieldEntry("LOGIN", .text("a")), FieldEntry("PASSWORD", .int8(1))])) == nil)
  }
}
