// The scanner, the bodies it lets through, and the types made from answers.

import Foundation
import Testing

@testable import EscapementClient

@Suite("JSON")
struct JSONTests {
  @Test(
    "good bodies pass",
    arguments: [
      "null", " true ", "0", "{\"a\":1,\"\\u0061\":2}", "-1.5e+9", "\"\"", "[]", "{}", "[1,[2,{\"a\":\"\\u0000\"}]]",
      "{\"a\":1,\"b\":{\"a\":1}}",
      "\"\\ud83d\\ude00\"", String(repeating: "[", count: 31) + String(repeating: "]", count: 31),
    ])
  func goodBodies(_ text: String) throws {
    #expect(
      try String(decoding: MessageBody.json(text).value, as: UTF8.self) == text.trimmingCharacters(in: .whitespaces))
  }

  @Test(
    "bodies that would make the server close the connection do not",
    arguments: [
      "", " ", "nul", "nulll", "01", "1.", ".5", "+1", "1e", "\"", "\"\\x\"", "\"\t\"", "[1,]", "[1 2]", "{a:1}",
      "{\"a\"}", "{\"a\":1,}", "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"",
      "\"\\u12\"",
      "{} {}", "NaN", "'a'", String(repeating: "[", count: 32) + String(repeating: "]", count: 32),
      String(repeating: "[", count: 100_000),
    ])
  func badBodies(_ text: String) {
    #expect(throws: EscapementError.self) { try MessageBody.json(text) }
  }

  @Test("bytes that are no UTF-8 are refused")
  func badUTF8() {
    #expect(throws: EscapementError.self) { try MessageBody.json(Data([0x22, 0xC3, 0x22])) }
  }

  @Test("every prefix of a good text is refused, and reading never leaves its bytes")
  func prefixes() {
    let text = #"{"a":[1.5e-3,true,false,null,"x\u00e9\n\ud83d\ude00"],"b":{"c":{}}}"#
    for count in 0..<text.utf8.count {
      #expect(throws: EscapementError.self) { try RawJSON(text: Array(text.utf8.prefix(count))) }
    }
  }

  @Test(
    "strings survive quoting and reading, whatever is in them",
    arguments: ["", "plain", "\"\\/", "\n\r\t\u{0}\u{1F}", "é😀\u{10FFFF}", "\u{2028}"])
  func strings(_ text: String) throws {
    #expect(try RawJSON(text: JSONText.quoted(text)).string == text)
    #expect(try JSONDecoder().decode(String.self, from: Data(JSONText.quoted(text))) == text)
  }

  @Test("escapes are resolved")
  func escapes() throws {
    #expect(
      try RawJSON(text: Array(#""a\"\\\/\b\f\n\r\t\u00E9\ud83d\uDE00z""#.utf8)).string == "a\"\\/\u{8}\u{C}\n\r\té😀z")
  }

  @Test("a state, the stats and the wheel are read from their answers")
  func results() throws {
    let pending = try RawObject(
      line: Array(#"{"state":"pending","deliverAtMs":5,"scheduledAtMs":1,"body":[1],"headers":{"a":"b"}}"#.utf8))
    guard case .pending(let message, let headers, let body) = try MessageState(pending, id: "i") else {
      Issue.record("not pending")
      return
    }
    #expect(message.deliverAtMs == 5 && message.id == "i" && headers == ["a": "b"] && body == Data("[1]".utf8))
    let stats = ServerStats(try RawJSON(text: Array(#"{"ok":true,"rid":1,"a":5,"b":{"c":1.5,"d":"x"},"e":[1]}"#.utf8)))
    #expect(stats.entries.map(\.name) == ["a", "b.c"] && stats["b.c"] == 1.5)
    let wheel = try WheelInfo(
      RawObject(
        line: Array(
          #"{"nowMs":1,"tickMs":1,"wheelSize":4,"onDisk":2,"levels":[{"level":0,"tickMs":1,"intervalMs":4,"pending":3,"slots":[[0,1],[3,2]]}]}"#
            .utf8)))
    #expect(wheel.levels[0].slots == [[0, 1], [3, 2]] && wheel.onDisk == 2)
  }

  @Test("dates become milliseconds, never earlier and not a whole one later")
  func dates() {
    #expect(Due.at(Date(timeIntervalSince1970: 1_700_000_000.123)) == .atMs(1_700_000_000_123))
    #expect(Due.at(Date(timeIntervalSince1970: 1_700_000_000.1231)) == .atMs(1_700_000_000_124))
    #expect(Due.at(.distantFuture) == .atMs(64_092_211_200_000))
    #expect(Due.at(Date(timeIntervalSince1970: .infinity)) == .atMs(.max))
    #expect(Due.after(.microseconds(1_001)) == .after(ms: 2))
    #expect(Due.after(.seconds(Int64.max)) == .after(ms: .max))
  }
}
