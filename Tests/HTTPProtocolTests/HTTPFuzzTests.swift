// A million spoiled requests: the parser and the dumb model find the same ones, however the bytes are cut.

import SeededRandom
import Testing

@Suite("HTTP requests spoiled at random")
struct HTTPFuzzTests {
  private static let seeds: [[UInt8]] =
    HTTPRequestParserTests.good.map { Array($0.text.utf8) } + SmugglingTests.attempts.map { Array($0.text.utf8) }
    + [Array("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n".utf8)]
  // What matters to a parser, more often than other bytes.
  private static let pieces: [[UInt8]] = [
    "\r\n", "\r", "\n", ":", " ", "\t", "0", "1", "f", ",", ";", "\0", "\u{7F}", "/", "?", "chunked",
    "Content-Length: 3\r\n",
    "Transfer-Encoding: chunked\r\n", "Host: a\r\n", "HTTP/1.0", "Connection: close\r\n", "\r\n\r\n",
  ].map { Array($0.utf8) }

  private static func spoiled(_ random: inout SplitMix64) -> [UInt8] {
    var bytes = seeds[Int(random.next(below: UInt64(seeds.count)))]
    for _ in 0...random.next(below: 3) {
      let place = Int(random.next(below: UInt64(bytes.count + 1)))
      let piece = pieces[Int(random.next(below: UInt64(pieces.count)))]
      switch random.next(below: 4) {
      case 0 where place < bytes.count: bytes[place] = UInt8(truncatingIfNeeded: random.next())
      case 1: bytes.insert(contentsOf: piece, at: place)
      case 2: bytes.replaceSubrange(place..<min(place + piece.count, bytes.count), with: piece)
      default: bytes.removeSubrange(place..<min(place + Int(random.next(below: 4)), bytes.count))
      }
    }
    return bytes
  }

  @Test("parser and model agree on 25000 spoiled requests", arguments: 0..<40 as Range<UInt64>)
  func agree(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    for _ in 0..<25_000 {
      let bytes = Self.spoiled(&random)
      let outcome = Outcome.of(bytes, pieces: [Int(random.next(below: UInt64(bytes.count + 1)))])
      let model = DumbHTTP.outcome(bytes)
      // Without the macro: it is slower than the parser.
      if outcome.requests == model.requests, (outcome.error != nil) == model.isRefused { continue }
      Issue.record("\(String(decoding: bytes, as: UTF8.self).debugDescription): \(outcome), model \(model)")
      return
    }
  }
}
