// Cutting lines: in any pieces, at the cap, and after it.

import SeededRandom
import Testing

@testable import LineProtocol

@Suite("a framer cuts what arrives into lines")
struct LineFramerTests {
  /// Feeds pieces; gives the lines, and nil at the end when the framer gave up.
  private func lines(_ pieces: [[UInt8]], cap: Int) -> [String?] {
    var framer = LineFramer(maxLineBytes: cap)
    var lines: [String?] = []
    for piece in pieces {
      piece.withUnsafeBytes { framer.append($0) }
      reading: while true {
        switch framer.next() {
        case .line(let line): lines.append(line.text)
        case .needsMore: break reading
        case .tooLong: return lines + [nil]
        }
      }
      // What is kept is less than a line that could still be good.
      #expect(framer.bufferedBytes <= cap + 1)
    }
    return lines
  }

  /// What the page says, on the whole stream at once.
  private func expected(_ stream: [UInt8], cap: Int) -> [String?] {
    var lines: [String?] = []
    let parts = stream.split(separator: 0x0A, omittingEmptySubsequences: false)
    for (index, part) in parts.enumerated() {
      let line = part.last == 0x0D ? part.dropLast() : part
      if line.count > cap { return lines + [nil] }
      if index < parts.count - 1 { lines.append(String(decoding: line, as: UTF8.self)) }
    }
    return lines
  }

  static let streams: [String] = [
    "", "\n", "\r\n", "a\n", "a\r\n", "a\r\r\n", "a\rb\n", "\n\n\n", "{}\n{}\n", "{}\r\n\r\n{}\n", "abc", "12345678\n",
    "12345678\r\n",
    "123456789\n", "123456789\r\n", "123456789", "12345678\r", "12345678\rx\n", "123456789\r",
    "x\n12345678\n123456789012\nx\n",
    "12345678\r\r\n", "1234567\r\r\n", "\r\r\r\r\r\r\r\r\r\n",
  ]

  @Test("in one piece, byte by byte, and in two pieces at every place", arguments: streams)
  func pieces(_ stream: String) {
    let bytes = Array(stream.utf8)
    let expected = expected(bytes, cap: 8)
    #expect(lines([bytes], cap: 8) == expected)
    #expect(lines(bytes.map { [$0] }, cap: 8) == expected)
    for cut in 0...bytes.count { #expect(lines([Array(bytes[..<cut]), Array(bytes[cut...])], cap: 8) == expected) }
  }

  @Test("in random pieces", arguments: UInt64(1)...30)
  func random(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let cap = Int.random(in: 1...40, using: &random)
    var stream: [UInt8] = []
    for _ in 0..<200 {
      let length = Int.random(in: 0...100, using: &random) == 0 ? cap + 1 : Int.random(in: 0...cap, using: &random)
      stream += Array(repeating: UInt8.random(in: 0x61...0x7A, using: &random), count: length)
      stream += [[0x0A], [0x0D, 0x0A]].randomElement(using: &random)!
    }
    var pieces: [[UInt8]] = []
    var place = 0
    while place < stream.count {
      let count = min(Int.random(in: 1...64, using: &random), stream.count - place)
      pieces.append(Array(stream[place..<place + count]))
      place += count
    }
    #expect(lines(pieces, cap: cap) == expected(stream, cap: cap), "seed \(seed)")
  }

  @Test("a line of exactly the cap passes, one byte more does not", arguments: [1, 2, 100, 65_536])
  func cap(_ cap: Int) {
    let line = Array(repeating: UInt8(ascii: "x"), count: cap)
    let text = String(decoding: line, as: UTF8.self)
    #expect(lines([line + [0x0A]], cap: cap) == [text])
    #expect(lines([line + [0x0D, 0x0A]], cap: cap) == [text])
    #expect(lines([line, [0x0D], [0x0A]], cap: cap) == [text])
    #expect(lines([line + [0x78, 0x0A]], cap: cap) == [nil])
    #expect(lines([line + [0x78]], cap: cap) == [nil])
    #expect(lines([line, [0x0D], [0x78]], cap: cap) == [nil])
  }

  @Test("after a line that was too long nothing comes out and nothing is kept")
  func broken() {
    var framer = LineFramer(maxLineBytes: 4)
    for text in ["12345", "\n{}\n", "{}\n"] {
      Array(text.utf8).withUnsafeBytes { framer.append($0) }
      guard case .tooLong = framer.next() else {
        Issue.record("resynchronised at \(text)")
        return
      }
      #expect(framer.bufferedBytes == 0)
    }
  }

  @Test("reads go straight into the buffer, and an idle one gives its memory back")
  func writable() {
    var framer = LineFramer(maxLineBytes: 1 << 20)
    let room = framer.writable(100_000)
    #expect(room.count >= 100_000)
    room.copyBytes(from: Array("{}\n{".utf8))
    framer.commit(4)
    guard case .line(let line) = framer.next(), line.text == "{}", case .needsMore = framer.next() else {
      Issue.record("the line was not found")
      return
    }
    framer.shrink()
    #expect(framer.bufferedBytes == 1 && framer.allocatedBytes >= 100_000)
    Array("}\n".utf8).withUnsafeBytes { framer.append($0) }
    guard case .line(let next) = framer.next() else { return }
    #expect(next.text == "{}")
    framer.shrink()
    #expect(framer.allocatedBytes == 0)
  }
}
