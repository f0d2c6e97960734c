import Primitives
import SeededRandom
import Testing

@testable import LineProtocol

@Suite("Base64")
struct Base64Tests {
  private func decode(_ text: String) -> [UInt8]? {
    let bytes = Array(text.utf8)
    let room = UnsafeMutablePointer<UInt8>.allocate(capacity: max(1, Base64.decodedBytesMax(bytes.count)))
    defer { room.deallocate() }
    return bytes.withUnsafeBytes { Base64.decode($0, to: room) }.map {
      Array(UnsafeBufferPointer(start: room, count: $0))
    }
  }

  private func encode(_ bytes: [UInt8]) -> String {
    var out = ByteBuffer()
    bytes.withUnsafeBytes { out.appendBase64($0) }
    return String(decoding: out.readable, as: UTF8.self)
  }

  /// RFC 4648, section 10.
  @Test(
    "the vectors of the standard",
    arguments: [
      ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
      ("foobar", "Zm9vYmFy"),
    ])
  func vectors(_ plain: String, _ text: String) {
    #expect(encode(Array(plain.utf8)) == text)
    #expect(decode(text) == Array(plain.utf8))
  }

  @Test(
    "what is not written as the standard says is refused",
    arguments: [
      "Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm8", "Zm9v\n", "Zm 9", "Zm9v=", "====", "=", "Z===", "Zg==Zg==",
      "Zm-_",
      "Zm9vYg==\r\n", "Zmé=", "\u{0}m9v",
    ])
  func malformed(_ text: String) {
    #expect(decode(text) == nil)
  }

  @Test("bytes of every length come back, and no other text stands for them", arguments: 0..<32)
  func roundTrip(_ seed: Int) {
    var random = SplitMix64(seed: UInt64(seed))
    for length in 0..<70 {
      let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
      let text = encode(bytes)
      #expect(decode(text) == bytes)
      guard !text.isEmpty else { continue }
      var changed = Array(text.utf8)
      let place = Int.random(in: 0..<changed.count, using: &random)
      changed[place] = UInt8.random(in: 0...127, using: &random)
      if changed != Array(text.utf8) { #expect(decode(String(decoding: changed, as: UTF8.self)) != bytes) }
    }
  }
}
