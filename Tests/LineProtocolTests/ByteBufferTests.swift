// The output side: bytes, integers, strings, replies.

import Primitives
import SeededRandom
import Testing

@testable import LineProtocol

@Suite("a byte buffer is a queue of bytes")
struct ByteBufferTests {
  @Test("it agrees with an array, whatever is put in and taken out", arguments: UInt64(1)...20)
  func queue(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var buffer = ByteBuffer()
    var model: [UInt8] = []
    for step in 0..<300 {
      let count = Int.random(in: 0...(step % 50 == 0 ? 5000 : 60), using: &random)
      let bytes = (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &random) }
      switch Int.random(in: 0..<6, using: &random) {
      case 0, 1:
        bytes.withUnsafeBytes { buffer.append($0) }
        model += bytes
      case 2:
        let room = buffer.writable(max(count, 1))
        room.copyBytes(from: bytes)
        buffer.commit(count)
        model += bytes
      case 3:
        let kept = Int.random(in: 0...model.count, using: &random)
        if Int.random(in: 0..<8, using: &random) == 0 {
          buffer.truncate(to: kept)
          model.removeLast(model.count - kept)
        }
      default:
        let taken = Int.random(in: 0...min(model.count, 400), using: &random)
        buffer.consume(taken)
        model.removeFirst(taken)
      }
      #expect(Array(buffer.readable) == model && buffer.count == model.count, "seed \(seed) step \(step)")
    }
  }

  @Test("memory stays in proportion when as much is taken out as put in")
  func compaction() {
    var buffer = ByteBuffer()
    let piece = [UInt8](repeating: 1, count: 100)
    for _ in 0..<50 { piece.withUnsafeBytes { buffer.append($0) } }
    for _ in 0..<10_000 {
      piece.withUnsafeBytes { buffer.append($0) }
      buffer.consume(100)
    }
    #expect(buffer.count == 5000 && buffer.allocatedBytes <= 4 * 5000)
  }

  @Test("a large buffer gives its memory back when it is empty, and works on")
  func shrink() {
    var buffer = ByteBuffer(capacity: 100_000)
    buffer.append("x")
    buffer.shrink()
    #expect(buffer.allocatedBytes == 100_000)
    buffer.consume(1)
    buffer.shrink()
    #expect(buffer.allocatedBytes == 0)
    buffer.append("abc")
    #expect(text(buffer) == "abc")
  }

  @Test("integers are written as Swift writes them", arguments: UInt64(1)...4)
  func integers(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var values: [Int64] = [0, 1, -1, 9, 10, 99, 100, 101, 999, 1000, .max, .min, .max - 1]
    for _ in 0..<200 {
      values.append(Int64.random(in: .min ... .max, using: &random) >> Int64.random(in: 0...63, using: &random))
    }
    for value in values {
      var buffer = ByteBuffer()
      buffer.appendInteger(value)
      buffer.append(byte: 0x20)
      buffer.appendInteger(UInt64(bitPattern: value))
      #expect(text(buffer) == "\(value) \(UInt64(bitPattern: value))", "seed \(seed)")
    }
  }

  static let escapes: [(plain: String, json: String)] = [
    ("", #""""#), ("abc", #""abc""#), ("\"", #""\"""#), ("\\", #""\\""#), ("/", #""/""#),
    ("\u{8}\t\n\u{C}\r", #""\b\t\n\f\r""#),
    ("\0\u{1}\u{1F}", #""\u0000\u0001\u001f""#), ("\u{7F}é€😀", "\"\u{7F}é€😀\""), ("1234567\"", #""1234567\"""#),
    ("12345678\"12345678", #""12345678\"12345678""#), ("éééé\"", #""éééé\"""#),
  ]

  @Test("strings are escaped where they must be and nowhere else", arguments: escapes)
  func strings(_ row: (plain: String, json: String)) {
    var buffer = ByteBuffer()
    buffer.appendJSONString(row.plain)
    #expect(text(buffer) == row.json)
  }

  @Test("what is written as a string is read back the same", arguments: UInt64(1)...20)
  func roundTrip(_ seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    for _ in 0..<50 {
      let plain = LineMaker.plain(&random)
      var buffer = ByteBuffer()
      buffer.append("{\"id\":")
      buffer.appendJSONString(plain)
      buffer.append("}")
      let line = try ParsedLine(Array(buffer.readable))
      #expect(try line.reader.text(.id).map { Array($0.utf8) } == Array(plain.utf8), "seed \(seed)")
      let escaped = try ParsedLine("{\"id\":" + LineMaker.escaped(plain, &random) + "}")
      #expect(try escaped.reader.text(.id).map { Array($0.utf8) } == Array(plain.utf8), "seed \(seed)")
    }
  }

  @Test("numbers are written big-endian, and overwritten where they stand")
  func bigEndian() {
    var buffer = ByteBuffer()
    buffer.append("ab")
    buffer.append(bigEndian: UInt32(0))
    buffer.append(bigEndian: Int16(-2))
    buffer.append(bigEndian: UInt64(0x0102_0304_0506_0708))
    buffer.consume(1)
    buffer.set(bigEndian: UInt32(0xAABB_CCDD), at: 1)
    #expect(Array(buffer.readable) == [0x62, 0xAA, 0xBB, 0xCC, 0xDD, 0xFF, 0xFE, 1, 2, 3, 4, 5, 6, 7, 8])
  }

  @Test("replies have their frame, with rid when the request had one")
  func replies() {
    var buffer = ByteBuffer()
    buffer.beginReply(rid: nil)
    buffer.append(",\"n\":")
    buffer.appendInteger(Int64(-5))
    buffer.append(",\"b\":")
    buffer.appendBoolean(true)
    buffer.endLine()
    let rid = Array(#""r\n1""#.utf8)
    rid.withUnsafeBytes { buffer.appendRefusal(.missing(.topic), rid: $0) }
    #expect(
      text(buffer) == """
        {"ok":true,"n":-5,"b":true}
        {"ok":false,"rid":"r\\n1","error":"bad_request","message":"field 'topic' is missing"}\n
        """)
  }
}
