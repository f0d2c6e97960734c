// Recall handles: what they look like, and that only our own are read.

import Broker
import Primitives
import Testing

@testable import RocketMQFrontEnd

/// A mark with a key of the test's choosing.
private func mark(_ key: UInt64) -> RecallHandle.Mark {
  let hasher = SipHash128(key0: key, key1: ~key)
  return { hasher.hash(topic: .max, id: $0) }
}

private func bytes<R>(_ text: String, _ body: (UnsafeRawBufferPointer) -> R) -> R {
  var text = text
  return text.withUTF8 { body(UnsafeRawBufferPointer($0)) }
}

@Suite("Recall handles")
struct RecallHandleTests {
  private let handle = RecallHandle(topic: "orders", deliverTimeMs: 1_790_000_000_123, messageID: "m0000000000abc")

  @Test("a handle is base64url of v1, topic, broker, time and id")
  func layout() throws {
    let text = handle.encoded(mark(1))
    #expect(text.utf8.count % 4 == 0)
    let plain = String(decoding: try #require(bytes(text) { Base64URL.decoded($0) }), as: UTF8.self)
    let words = plain.split(separator: " ", omittingEmptySubsequences: false)
    #expect(words.count == 5)
    #expect([words[0], words[1], words[3], words[4]] == ["v1", "orders", "1790000000123", "m0000000000abc"])
  }

  @Test("what was encoded is read, with or without padding")
  func roundTrip() {
    for length in 1...12 {
      let handle = RecallHandle(
        topic: String(repeating: "t", count: length), deliverTimeMs: Int64(length), messageID: "é\"\\")
      let text = handle.encoded(mark(7))
      #expect(bytes(text) { RecallHandle($0, mark(7)) } == handle)
      let bare = String(text.prefix { $0 != "=" })
      #expect(bytes(bare) { RecallHandle($0, mark(7)) } == handle)
    }
  }

  @Test("a handle of another store is not read")
  func foreign() {
    let text = handle.encoded(mark(1))
    #expect(bytes(text) { RecallHandle($0, mark(2)) } == nil)
  }

  @Test("a handle with any one byte changed is not read")
  func forged() throws {
    let plain = try #require(bytes(handle.encoded(mark(1))) { Base64URL.decoded($0) })
    for place in plain.indices {
      for bit in 0..<8 {
        var forged = plain
        forged[place] ^= 1 << UInt8(bit)
        #expect(bytes(Base64URL.encoded(forged)) { RecallHandle($0, mark(1)) } == nil, "byte \(place), bit \(bit)")
      }
      #expect(bytes(Base64URL.encoded(plain[..<place])) { RecallHandle($0, mark(1)) } == nil, "cut at \(place)")
    }
    #expect(bytes(Base64URL.encoded(plain + [0x20, 0x78])) { RecallHandle($0, mark(1)) } == nil)
  }

  @Test(
    "text that is no handle is not read",
    arguments: ["", "=", "====", "a", "ab=c", "!!!!", "dg==", "djE=", "äöü", "a\u{0}bc"])
  func garbage(text: String) {
    #expect(bytes(text) { RecallHandle($0, mark(1)) } == nil)
  }

  @Test(
    "base64url is that of RFC 4648",
    arguments: [
      ("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE="),
      ("foobar", "Zm9vYmFy"), ("~~?", "fn4_"), ("~~>", "fn4-"),
    ])
  func vectors(plain: String, text: String) {
    #expect(Base64URL.encoded(plain.utf8) == text)
    #expect(bytes(text) { Base64URL.decoded($0) } == Array(plain.utf8))
  }
}
