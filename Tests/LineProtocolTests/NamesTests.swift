// Names of topics and groups, ids of messages.

import Testing

@testable import LineProtocol

@Suite("names and ids")
struct NamesTests {
  static let names: [(String, Bool)] = [
    ("a", true), ("A-z_0.9", true), ("...", true), ("-", true), ("_", true), (".a", true), ("a.", true), ("..a", true),
    (String(repeating: "a", count: 128), true), (String(repeating: ".", count: 128), true),
    (String(repeating: "a", count: 129), false),
    ("", false), (".", false), ("..", false), ("a b", false), ("a/b", false), ("a\\b", false), ("é", false),
    ("a\0", false),
    ("a\n", false), ("a:b", false), ("a@b", false), ("a[", false), ("a`", false), ("a{", false), ("a%", false),
    ("*", false),
  ]

  @Test("topic and group names", arguments: names)
  func name(_ row: (String, Bool)) {
    #expect(Array(row.0.utf8).withUnsafeBytes { isValidName($0) } == row.1)
  }

  static let ids: [([UInt8], Bool)] = [
    (Array("a".utf8), true), (Array(" ".utf8), true), (Array("order 1/2 é 😀 \u{10FFFF}".utf8), true),
    (Array("\u{A0}".utf8), true),
    (Array("..".utf8), true), ([UInt8](repeating: 0x61, count: 128), true),
    ([UInt8](repeating: 0x61, count: 129), false),
    (Array(String(repeating: "é", count: 64).utf8), true), (Array(String(repeating: "é", count: 65).utf8), false),
    ([], false),
    ([0], false), ([0x1F], false), ([0x20], true), ([0x7E], true), ([0x7F], false), (Array("a\nb".utf8), false),
    (Array("\u{80}".utf8), false), (Array("\u{9F}".utf8), false), ([0x80], false), ([0xC2], false),
    ([0xC0, 0x80], false),
    ([0xED, 0xA0, 0x80], false), ([0x61, 0xFF], false), (Array("\u{200B}\u{2028}".utf8), true),
  ]

  @Test("message ids", arguments: ids)
  func id(_ row: ([UInt8], Bool)) { #expect(row.0.withUnsafeBytes { isValidMessageID($0) } == row.1) }
}
