// JSON texts that are not requests, and the check of UTF-8 outside of JSON.

import Primitives
import SeededRandom
import Testing

@testable import LineProtocol

@Suite("JSON texts")
struct JSONReaderTests {
  private func raw(_ text: String, _ reader: JSONReader = JSONReader()) throws(JSONError) -> String {
    try text.withBytes { text throws(JSONError) in try reader.parse(text).raw.text }
  }

  @Test("a value of any kind is a text, without the white space around it")
  func values() throws {
    let reader = JSONReader()
    for value in ["{}", "[1,{\"a\":\"b\"}]", "\"\"", "-1.5e3", "true", "null"] {
      #expect(try raw(" \n\t" + value + " \r\n", reader) == value)
    }
  }

  @Test(
    "a text that is not a value is refused, with the place",
    arguments: [
      ("", "the text is empty", 1), ("  ", "the text ends too early", 3),
      ("{} 1", "there is something after the object", 4),
      ("[1,", "the text ends too early", 4), ("{\"a\":1,\"a\":2}", "an object has the same key twice", 8),
      ("x", "a value was expected", 1), (String(repeating: "[", count: 33), "nesting deeper than 32", 33),
    ])
  func refused(_ text: String, _ reason: String, _ position: Int) {
    #expect(throws: JSONError(reason: reason, position: position)) { _ = try raw(text) }
  }

  @Test("strings keep their bytes until the next text")
  func strings() throws {
    let reader = JSONReader()
    try #"{"a\u0001":"\u00e9\n","b":[]}"#.withBytes { text throws(JSONError) in
      var cursor = try reader.parse(text).object()!
      let first = cursor.next()!
      let value = first.value.string()
      #expect(cursor.next()?.value.kind == .array && cursor.next() == nil)
      #expect(first.key.text == "a\u{1}" && value?.text == "é\n")
    }
  }

  @Test("UTF-8 is valid when the standard library says so", arguments: UInt64(1)...20)
  func utf8(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let pieces = ["abcdefgh", "é", "漢", "😀", "\u{7F}"].map { Array($0.utf8) }
    for _ in 0..<200 {
      var bytes = (0..<random.next(below: 8)).flatMap { _ in pieces[Int(random.next(below: 5))] }
      if random.next(below: 2) == 0, !bytes.isEmpty {
        bytes[Int(random.next(below: UInt64(bytes.count)))] = UInt8(truncatingIfNeeded: random.next())
      }
      bytes.withBytes { #expect(isValidUTF8($0) == (String(validating: bytes, as: UTF8.self) != nil), "\(bytes)") }
    }
  }
}
