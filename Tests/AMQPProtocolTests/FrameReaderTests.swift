// Frames: cut at every byte, pipelined, too large, spoiled.

import Primitives
import Testing

@testable import AMQPProtocol

@Suite("frames")
struct FrameReaderTests {
  // Everything that comes out until more is needed, as text.
  static func drain(_ reader: inout FrameReader) -> [String] {
    var out: [String] = []
    while true {
      do throws(AMQPFault) {
        switch try reader.next() {
        case .needsMore: return out
        case .opened: out.append("opened")
        case .foreignProtocol: return out + ["foreign"]
        case .frame(let frame): out.append("\(frame.kind) \(frame.channel) \(Array(frame.payload))")
        }
      } catch {
        return out + ["\(error.code)"]
      }
    }
  }

  static func read(_ bytes: [UInt8], pieces: Int, maxFrameBytes: Int = 4096) -> [String] {
    var reader = FrameReader(maxFrameBytes: maxFrameBytes)
    var out: [String] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      Array(rest.prefix(pieces)).withBytes { reader.append($0) }
      rest = rest.dropFirst(pieces)
      out += drain(&reader)
    }
    return out
  }

  static let names = [
    "pika connection.start-ok", "pika heartbeat", "pika basic.publish", "pika body", "pika tx.commit",
  ]
  static let conversation = bytesOfHeader + names.flatMap { ClientBytes.all[$0]! }

  @Test("a conversation reads the same however it is cut")
  func cuts() {
    let expected =
      ["opened"]
      + Self.names.map { name in
        let bytes = ClientBytes.all[name]!
        return "\(FrameKind(rawValue: bytes[0])!) \(Int(bytes[1]) << 8 | Int(bytes[2])) \(payload(bytes))"
      }
    for pieces in [1, 2, 3, 7, 8, 9, 64, Self.conversation.count] {
      #expect(Self.read(Self.conversation, pieces: pieces) == expected)
    }
    for cut in 0...Self.conversation.count {
      var reader = FrameReader(maxFrameBytes: 4096)
      Array(Self.conversation[..<cut]).withBytes { reader.append($0) }
      let before = Self.drain(&reader)
      Array(Self.conversation[cut...]).withBytes { reader.append($0) }
      #expect(before + Self.drain(&reader) == expected)
      #expect(reader.bufferedBytes == 0)
    }
  }

  @Test("frames are views of the buffer, good while more of them are cut")
  func views() throws {
    var reader = FrameReader()
    let room = reader.writable(Self.conversation.count)
    room.copyBytes(from: Self.conversation)
    reader.commit(Self.conversation.count)
    _ = try reader.next()
    var payloads: [UnsafeRawBufferPointer] = []
    while case .frame(let frame) = try reader.next() { payloads.append(frame.payload) }
    for (name, view) in zip(Self.names, payloads) {
      #expect(Array(view) == payload(ClientBytes.all[name]!))
      if !view.isEmpty {
        #expect(view.baseAddress! >= room.baseAddress! && view.baseAddress! < room.baseAddress! + room.count)
      }
    }
  }

  @Test(
    "what is not our protocol header is told apart at its first wrong byte",
    arguments: ["GET / HTTP/1.1\r\n", "B", "AMQP\u{0}\u{1}\u{0}\u{0}", "AMQP\u{1}", "AMQP\u{0}\u{0}\u{9}\u{0}"])
  func foreign(text: String) {
    for pieces in [1, 100] {
      #expect(Self.read(Array(text.utf8), pieces: pieces).first == "foreign")
      #expect(!Self.read(Array(text.utf8).dropLast(), pieces: pieces).contains("opened"))
    }
    #expect(written { $0.appendProtocolHeader() } == bytesOfHeader)
  }

  private func result(_ hex: String, maxFrameBytes: Int = 4096) throws -> String {
    var reader = try openReader(bytes(hex: hex), maxFrameBytes: maxFrameBytes)
    return Self.drain(&reader).joined(separator: ", ")
  }

  @Test("faults have RabbitMQ's codes")
  func faults() throws {
    #expect(try result("08 0000 00000000 ce") == "heartbeat 0 []")
    #expect(try result("08 0001 00000000 ce") == "unexpectedFrame")
    #expect(try result("08 0000 00000001 00 ce") == "frameError")
    #expect(try result("04 0001 00000000 ce") == "frameError")
    #expect(try result("00 0000 00000000 ce") == "frameError")
    #expect(try result("03 0000 00000000 ce") == "unexpectedFrame")
    #expect(try result("02 0000 00000000 ce") == "unexpectedFrame")
    #expect(try result("03 0001 00000000 cd") == "frameError")
    #expect(try result("03 0001 00000001 00 ce 03 0001 00000001 01 cf") == "body 1 [0], frameError")
  }

  @Test("a frame of the negotiated size passes, one byte more is refused as soon as its length is there")
  func sizes() throws {
    for limit in [4096, 131_072] {
      let count = limit - 8
      let size = withUnsafeBytes(of: UInt32(count).bigEndian) { Array($0) }
      var reader = try openReader(
        [3, 0, 1] + size + [UInt8](repeating: 7, count: count) + [0xCE], maxFrameBytes: limit)
      guard case .frame(let frame) = try reader.next() else { throw TestFailure.unexpected }
      #expect(frame.payload.count == count && frame.payload.allSatisfy { $0 == 7 })
    }
    #expect(try result("03 0001 00000ff9") == "frameError")
    #expect(try result("03 0001 ffffffff") == "frameError")
    #expect(try result("03 0001 00000ff8") == "")
    var reader = try openReader(bytes(hex: "03 0001 00000ff9"))
    reader.maxFrameBytes = 131_072
    #expect(Self.drain(&reader) == [])
  }

  @Test("after a fault nothing comes out and nothing is kept")
  func sticky() throws {
    var reader = try openReader(bytes(hex: "03 0001 00000000 00"))
    let first = fault { () throws(AMQPFault) in _ = try reader.next() }
    #expect(first?.code == .frameError)
    ClientBytes.all["pika body"]!.withBytes { reader.append($0) }
    #expect(fault { () throws(AMQPFault) in _ = try reader.next() } == first)
    #expect(reader.bufferedBytes == 0)
  }
}
