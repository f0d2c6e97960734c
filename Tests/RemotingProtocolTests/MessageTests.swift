// Messages in bodies: pulled ones, batches, properties, ids, the checksum.

import Primitives
import SeededRandom
import Testing

@testable import RemotingProtocol

@Suite("messages in bodies")
struct MessageTests {
  private func withBytes<Result>(
    _ topic: String, _ body: [UInt8], _ properties: String,
    _ use: (PulledMessage) throws(RemotingError) -> Result
  ) throws(RemotingError) -> Result {
    try Array(topic.utf8).withBytes { topic throws(RemotingError) in
      try body.withBytes { body throws(RemotingError) in
        try Array(properties.utf8).withBytes { properties throws(RemotingError) in
          try use(PulledMessage(topic: topic, body: body, properties: properties))
        }
      }
    }
  }

  @Test("a pulled message, byte for byte")
  func example() throws {
    let written = try withBytes("orders", Array("123456789".utf8), "TAGS\u{1}a\u{2}") { message throws(RemotingError) in
      var message = message
      message.queueID = 3
      message.flag = 5
      message.queueOffset = 7
      message.physicalOffset = 0x0102_0304_0506
      // The bits for IPv6 hosts come from a client and must not reach another.
      message.sysFlag = 0x31
      message.bornMs = 1_700_000_000_000
      message.bornHost = RemotingHost(address: 0x7F00_0001, port: 40_000)
      message.storedMs = 1_700_000_000_001
      message.storeHost = RemotingHost(address: 0x0A00_0001, port: 10_911)
      message.reconsumeTimes = 2
      message.preparedTransactionOffset = 11
      return try bytes { buffer throws(RemotingError) in try buffer.append(message) }
    }
    // The well-known checksum of "123456789" is 0xCBF43926; its top bit is cleared.
    let expected = layout(
      Int32(113), UInt32(0xAABB_CCA7), UInt32(0x4BF4_3926), Int32(3), Int32(5), Int64(7), Int64(0x0102_0304_0506),
      Int32(1),
      Int64(1_700_000_000_000), UInt32(0x7F00_0001), Int32(40_000), Int64(1_700_000_000_001), UInt32(0x0A00_0001),
      Int32(10_911), Int32(2), Int64(11), Int32(9), "123456789", UInt8(6), "orders", Int16(7), "TAGS", UInt8(1), "a",
      UInt8(2))
    #expect(written == expected)
  }

  @Test("messages written one after another are read again", arguments: (0..<32).map { UInt64($0) })
  func roundTrip(_ seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let bodies = (0..<8).map { _ in (0..<random.next(below: 300)).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }
    let numbers = bodies.map { _ in (0..<5).map { _ in Int64(bitPattern: random.next()) } }
    let written = try bytes { buffer throws(RemotingError) in
      for (body, numbers) in zip(bodies, numbers) {
        try withBytes("t\(body.count)", body, "K\u{1}\(body.count)\u{2}") { message throws(RemotingError) in
          var message = message
          message.queueOffset = numbers[0]
          message.physicalOffset = numbers[1]
          message.bornMs = numbers[2]
          message.queueID = Int32(truncatingIfNeeded: numbers[3])
          message.storeHost = RemotingHost(
            address: UInt32(truncatingIfNeeded: numbers[4]), port: Int32(truncatingIfNeeded: numbers[4] >> 32))
          try buffer.append(message)
        }
      }
    }
    try written.withBytes { written in
      var reader = PulledMessageReader(written)
      for (body, numbers) in zip(bodies, numbers) {
        let message = try #require(try reader.next())
        #expect(Array(message.body) == body && message.topic.text == "t\(body.count)")
        #expect(MessageProperties(message.properties)["K"]?.text == "\(body.count)")
        #expect([message.queueOffset, message.physicalOffset, message.bornMs] == Array(numbers[..<3]))
        #expect(message.queueID == Int32(truncatingIfNeeded: numbers[3]))
        #expect(message.storeHost.address == UInt32(truncatingIfNeeded: numbers[4]))
      }
      #expect(try reader.next() == nil)
    }
    for cut in Set([1, 3, 4, 40, 90, written.count - 1]) {
      Array(written[..<cut]).withBytes { written in
        let error = failure { () throws(RemotingError) in
          var reader = PulledMessageReader(written)
          while try reader.next() != nil {}
        }
        #expect(error == .malformedBody("a message ends too early"), "cut at \(cut)")
      }
    }
  }

  @Test("what has no place in the layout is refused, and nothing is written")
  func tooLong() {
    var buffer = ByteBuffer()
    for (topic, properties) in [(128, 0), (1, 32_768)] {
      let error = failure { () throws(RemotingError) in
        try withBytes(String(repeating: "t", count: topic), [], String(repeating: "p", count: properties)) {
          message throws(RemotingError) in try buffer.append(message)
        }
      }
      guard case .unencodable = error else {
        Issue.record("a topic of \(topic) and properties of \(properties) bytes must be refused")
        continue
      }
    }
    let written = buffer.count
    #expect(written == 0)
  }

  @Test("a batch is read message by message, and its lengths must agree")
  func batch() throws {
    func message(_ body: String, _ properties: String) -> [UInt8] {
      layout(
        Int32(22 + body.utf8.count + properties.utf8.count), Int32(0), Int32(0), Int32(9), Int32(body.utf8.count), body,
        Int16(properties.utf8.count), properties)
    }
    let good = message("one", "K\u{1}v\u{2}") + message("", "")
    try good.withBytes { bytes in
      var batch = MessageBatch(bytes)
      let first = try #require(try batch.next())
      #expect(first.flag == 9 && first.body.text == "one" && first.properties["K"]?.text == "v")
      let second = try #require(try batch.next())
      #expect(second.body.isEmpty && second.properties.text.isEmpty)
      #expect(try batch.next() == nil)
    }
    var bad = (1..<good.count).filter { $0 != message("one", "K\u{1}v\u{2}").count }.map { Array(good[..<$0]) }
    bad.append(layout(Int32.min, Int32(0)))
    bad.append(layout(Int32(23), Int32(0), Int32(0), Int32(0), Int32(0), Int16(0), UInt8(0)))
    bad.append(layout(Int32(22), Int32(0), Int32(0), Int32(0), Int32(-1), Int16(0)))
    for bytes in bad {
      bytes.withBytes { bytes in
        let error = failure { () throws(RemotingError) in
          var batch = MessageBatch(bytes)
          while try batch.next() != nil {}
        }
        #expect(error == .malformedBody("the lengths in a message of the batch do not agree"))
      }
    }
    layout(Int32(23), Int32(0), Int32(0), Int32(0), Int32(0), Int16(1), UInt8(0xFF)).withBytes { bytes in
      var batch = MessageBatch(bytes)
      var thrown: RemotingError?
      do throws(RemotingError) { _ = try batch.next() } catch { thrown = error }
      #expect(thrown == .malformedBody("the properties of a message of the batch are not UTF-8"))
    }
  }

  @Test("properties are read as a plain split reads them", arguments: (0..<200).map { UInt64($0) })
  func properties(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let text = (0..<random.next(below: 40)).map { _ in [UInt8]([1, 2, 97, 98])[Int(random.next(below: 4))] }
    let expected = text.split(separator: 2, omittingEmptySubsequences: true).compactMap { piece -> [[UInt8]]? in
      guard let end = piece.firstIndex(of: 1) else { return nil }
      return [Array(piece[..<end]), Array(piece[(end + 1)...])]
    }
    text.withBytes { text in
      let properties = MessageProperties(text)
      #expect(properties.map { [Array($0.name), Array($0.value)] } == expected)
      #expect(properties["a"].map(Array.init) == expected.last { $0[0] == [97] }?[1])
    }
  }

  @Test("a property is written, unless its text has a separator in it")
  func writtenProperties() throws {
    func written(_ name: String, _ value: String) throws(RemotingError) -> [UInt8] {
      try Array(name.utf8).withBytes { name throws(RemotingError) in
        try Array(value.utf8).withBytes { value throws(RemotingError) in
          try bytes { buffer throws(RemotingError) in
            try buffer.appendProperty("TAGS", value)
            try buffer.appendProperty(name, value)
          }
        }
      }
    }
    #expect(try written("K", "v") == layout("TAGS", UInt8(1), "v", UInt8(2), "K", UInt8(1), "v", UInt8(2)))
    #expect(try written("K", "") == layout("TAGS", UInt8(1), UInt8(2), "K", UInt8(1), UInt8(2)))
    for (name, value) in [("", "v"), ("a\u{1}", "v"), ("a\u{2}b", "v"), ("a", "\u{1}"), ("a", "v\u{2}")] {
      #expect(failure { () throws(RemotingError) in _ = try written(name, value) } != nil)
    }
  }

  @Test("an id is 32 upper-case digits, and read in either case")
  func ids() {
    let id = MessageID(host: RemotingHost(address: 0x7F00_0001, port: 10_911), physicalOffset: 0x0297)
    #expect(id.text == "7F00000100002A9F0000000000000297")
    for text in [id.text, id.text.lowercased()] { text.withBytes { #expect(MessageID($0) == id) } }
    let odd = MessageID(host: RemotingHost(address: .max, port: -1), physicalOffset: -1)
    odd.text.withBytes { #expect(MessageID($0) == odd) }
    for text in ["", "7F", String(repeating: "G", count: 32), String(repeating: "0", count: 33)] {
      text.withBytes { #expect(MessageID($0) == nil) }
    }
  }

  @Test("the checksum is that of a loop over bits", arguments: (0..<16).map { UInt64($0) })
  func checksum(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let count = seed == 0 ? 0 : random.next(below: 100)
    let data = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    var crc = ~UInt32(0)
    for byte in data {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? (crc >> 1) ^ 0xEDB8_8320 : crc >> 1 }
    }
    data.withBytes { #expect(CRC32.checksum($0) == ~crc) }
  }
}
