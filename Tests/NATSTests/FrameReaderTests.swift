import Primitives
import SeededRandom
import Testing

@testable import NATS

/// A frame as text, so that two runs can be compared.
private func text(_ frame: NATSFrame) -> String {
  func string(_ bytes: UnsafeRawBufferPointer) -> String { String(decoding: bytes, as: UTF8.self) }
  return switch frame {
  case .info(let json): "INFO \(string(json))"
  case .ping: "PING"
  case .pong: "PONG"
  case .ok: "OK"
  case .error(let text): "ERR \(string(text))"
  case .message(let message):
    "MSG \(string(message.subject)) \(message.subscription) [\(string(message.reply))] \(message.headers.status) "
      + "{\(message.headers.block.count)} \(string(message.payload))"
  }
}

/// All frames in bytes that come in pieces; the last element says why it ended before the end, if it did.
private func frames(_ pieces: [[UInt8]]) -> [String] {
  var reader = FrameReader()
  var buffer = ByteBuffer()
  var found: [String] = []
  for piece in pieces {
    piece.withBytes { buffer.append($0) }
    do throws(NATSProtocolError) {
      while let (frame, count) = try reader.next(buffer.readable) {
        found.append(text(frame))
        buffer.consume(count)
      }
    } catch {
      found.append("refused: \(error)")
      return found
    }
  }
  return found
}

private let conversation = Array(
  ("INFO {\"server_name\":\"n1\"}\r\nPING\r\n+OK\r\nMSG a.b 7 5\r\nhe\r\no\r\nMSG a 1 reply.to 0\r\n\r\n"
    + "HMSG a 2 12 12\r\nNATS/1.0\r\n\r\n\r\nhmsg\ta  3  r 29 32\r\nNATS/1.0 503 No\r\nK: value\r\n\r\nabc\r\n"
    + "-ERR 'Stale Connection'\r\npong\r\n").utf8)

@Suite("frames of a server")
struct FrameReaderTests {
  static let expected = [
    "INFO {\"server_name\":\"n1\"}", "PING", "OK", "MSG a.b 7 [] 0 {0} he\r\no", "MSG a 1 [reply.to] 0 {0} ",
    "MSG a 2 [] 0 {12} ", "MSG a 3 [r] 503 {29} abc", "ERR Stale Connection", "PONG",
  ]

  @Test("a conversation is understood, wherever its bytes are cut", arguments: 0..<conversation.count)
  func cut(_ place: Int) {
    #expect(frames([Array(conversation[..<place]), Array(conversation[place...])]) == Self.expected)
  }

  @Test("a conversation that comes byte by byte is the same one")
  func byteByByte() { #expect(frames(conversation.map { [$0] }) == Self.expected) }

  @Test(
    "what the protocol does not allow is refused",
    arguments: [
      "HELLO\r\n", "\r\n", "PING\n", "\n", "MSG a 1\r\n", "MSG a 1 b c 5\r\n", "MSG a x 5\r\n", "MSG a 1 -1\r\n",
      "MSG a 1 99999999999999999999999\r\n", "MSG a 1 8388609\r\n", "MSG a 1 2\r\nabcd\r\n", "HMSG a 1 5\r\n",
      "HMSG a 1 6 5\r\n", "HMSG a 1 4 4\r\nabcd\r\n", "HMSG a 1 12 12\r\nNATS/1.0\r\nab\r\n", "HMSG a 1 0 0\r\n\r\n",
      "MSG a 18446744073709551616 1\r\n", "+NO\r\n", "-ERROR 'x'\r\n",
    ])
  func refused(_ line: String) {
    #expect(frames([Array(line.utf8)]).last?.hasPrefix("refused") == true, "\(line)")
  }

  @Test("a line without an end is refused when it is too long, not when it ends")
  func endlessLine() {
    let piece = [UInt8](repeating: UInt8(ascii: "I"), count: 4096)
    #expect(frames(Array(repeating: piece, count: 16)).isEmpty)
    #expect(frames(Array(repeating: piece, count: 17)).last?.hasPrefix("refused") == true)
  }

  @Test("garbage gives frames or a refusal, the same ones however it is cut", arguments: 0..<200 as Range<UInt64>)
  func garbage(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var bytes = conversation
    for _ in 0...random.next(below: 4) {
      let place = Int(random.next(below: UInt64(bytes.count)))
      switch random.next(below: 3) {
      case 0: bytes[place] = UInt8(truncatingIfNeeded: random.next())
      case 1: bytes.remove(at: place)
      default: bytes.insert(conversation[Int(random.next(below: UInt64(conversation.count)))], at: place)
      }
    }
    var pieces: [[UInt8]] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      let count = Int(1 + random.next(below: 9))
      pieces.append(Array(rest.prefix(count)))
      rest = rest.dropFirst(count)
    }
    #expect(frames(pieces) == frames([bytes]))
  }

  @Test("headers give their status and values")
  func headers() throws {
    let block = Array("NATS/1.0 408 Bad Request\r\nNats-Sequence: 12\r\nNats-Seq:7\r\nX:  a b \r\nbroken\r\n\r\n".utf8)
    try block.withUnsafeBytes { block in
      let headers = try NATSHeaders(block: block)
      #expect(headers.status == 408)
      #expect(headers.number("Nats-Sequence") == 12)
      #expect(headers.number("Nats-Seq") == 7)
      #expect(headers.number("X") == nil)
      #expect(headers.value(of: "X")?.elementsEqual("a b".utf8) == true)
      #expect(headers.value(of: "broken") == nil)
      #expect(headers.value(of: "nats-sequence") == nil)
    }
    for (line, status): (String, Int) in [("", 0), (" 20", 0), (" 2x4", 0), (" 204", 204), (" 204 EOB", 204)] {
      try Array("NATS/1.0\(line)\r\n\r\n".utf8).withUnsafeBytes { block in
        let headers = try NATSHeaders(block: block)
        #expect(headers.status == status)
      }
    }
  }

  @Test(
    "a number is digits alone, of 64 bits", arguments: [("18446744073709551615", UInt64.max), ("007", 7), ("0", 0)])
  func numbers(_ text: String, _ value: UInt64) {
    text.withBytes { #expect(Decimal.number($0) == value) }
    for wrong in ["", "18446744073709551616", "1 ", "+1", "1.0", "000000000000000000001"] {
      wrong.withBytes { #expect(Decimal.number($0) == nil, "\(wrong)") }
    }
  }
}
