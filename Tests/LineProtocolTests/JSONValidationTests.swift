// What is a line of the protocol and what is not: tables, one rule a row.

import Testing

@testable import LineProtocol

@Suite("a line is one JSON object by RFC 8259")
struct JSONValidationTests {
  static let valid: [String] = [
    "{}", " \t{ } \r", #"{"op":"ping"}"#, #"{ "op" : "ping" , "rid" : 1 }"#, #"{"":1}"#, #"{"a":""}"#,
    #"{"a":[]}"#, #"{"a":[ ]}"#, #"{"a":{}}"#, #"{"a":[1,"x",null,true,false,{},[]]}"#, #"{"a":[[],[[]]]}"#,
    #"{"a":true}"#, #"{"a":false}"#, #"{"a":null}"#,
    #"{"a":0}"#, #"{"a":-0}"#, #"{"a":-1}"#, #"{"a":10}"#, #"{"a":0.5}"#, #"{"a":-0.0}"#, #"{"a":1e5}"#, #"{"a":1E+5}"#,
    #"{"a":1e-5}"#, #"{"a":0e1}"#, #"{"a":1.25e00}"#, #"{"a":123456789012345678901234567890}"#, #"{"a":1e999}"#,
    #"{"a":"\"\\\/\b\f\n\r\t"}"#, #"{"a":"\u0041\u00e9\u20AC"}"#, #"{"a":"\uD83D\uDE00"}"#, #"{"a":"\ud83d\ude00"}"#,
    #"{"a":"\u0000"}"#, #"{"a":"\uFFFF\uFFFE"}"#, #"{"a":"\uE000\uD7FF"}"#, #"{"a":"\uDBFF\uDFFF"}"#,
    "{\"a\":\"\u{7F}\"}", "{\"a\":\"\u{80}é€😀\u{10FFFF}\u{FFFE}\u{2028}\"}", #"{"a":"//*"}"#, #"{"a":"[{,:}]"}"#,
    #"{"a":{"a":{"a":1}}}"#, #"{"a":1,"A":2,"aa":3}"#, #"{"x":{"a":1},"y":{"a":1}}"#, #"{"x":[{"a":1},{"a":1}]}"#,
    #"{"x":{"a":1,"b":2},"a":1,"b":2}"#,
    "{\"é\":1,\"e\u{301}\":2}", #"{"a":"1234567"}"#, #"{"a":"12345678"}"#, #"{"a":"123456789012345\n"}"#,
  ]

  static let invalid: [(line: String, says: String)] = [
    ("", "empty"), (" ", "early"), ("[]", "object"), ("[{}]", "object"), ("1", "object"), ("\"a\"", "object"),
    ("null", "object"), ("\u{FEFF}{}", "object"), ("nul", "object"), ("}", "object"), ("a{}", "object"),
    ("{", "early"), (#"{"a"#, "early"), (#"{"a""#, "early"), (#"{"a":"#, "early"), (#"{"a":1"#, "early"),
    (#"{"a":1,"#, "early"), (#"{"a":""#, "early"), (#"{"a":"\"#, "early"), (#"{"a":["#, "early"),
    (#"{"a":[1"#, "early"),
    (#"{"a":[1,"#, "early"), (#"{"a":{"#, "early"), (#"{"a":tru"#, "early"), (#"{"a":-"#, "early"),
    (#"{"a":1."#, "early"),
    (#"{"a":1e"#, "early"), (#"{"a":1e+"#, "early"),
    (#"{"a":1}{"b":2}"#, "after"), (#"{"a":1}}"#, "after"), (#"{"a":1},"#, "after"), (#"{} x"#, "after"),
    ("{}\0", "after"),
    (#"{"a":1,}"#, "name"), (#"{,"a":1}"#, "name"), (#"{"a":1,,"b":2}"#, "name"), (#"{a:1}"#, "name"),
    (#"{'a':1}"#, "name"),
    (#"{1:1}"#, "name"), (#"{null:1}"#, "name"), (#"{"a":1 /* c */}"#, "','"), (#"{/**/"a":1}"#, "name"),
    (#"{"a" 1}"#, "':'"), (#"{"a"}"#, "':'"), (#"{"a",1}"#, "':'"), (#"{"a"::1}"#, "value"), (#"{"a":}"#, "value"),
    (#"{"a":1 "b":2}"#, "','"), (#"{"a":1:2}"#, "','"), (#"{"a":1;}"#, "','"), (#"{"a":"x""b":1}"#, "','"),
    (#"{"a":[1,]}"#, "value"), (#"{"a":[,1]}"#, "value"), (#"{"a":[1 2]}"#, "','"), (#"{"a":[1}"#, "','"),
    (#"{"a":[1:2]}"#, "','"),
    (#"{"a":{"b":1]}"#, "','"), (#"{"a":]}"#, "value"), (#"{"a":[}]}"#, "value"), (#"{"a":{]}"#, "name"),
    (#"{"a":True}"#, "value"), (#"{"a":TRUE}"#, "value"), (#"{"a":nul}"#, "value"), (#"{"a":nulll}"#, "','"),
    (#"{"a":truefalse}"#, "','"), (#"{"a":undefined}"#, "value"), (#"{"a":NaN}"#, "value"),
    (#"{"a":Infinity}"#, "value"),
    (#"{"a":-Infinity}"#, "number"), (#"{"a":'x'}"#, "value"), (#"{"a":abc}"#, "value"),
    (#"{"a":01}"#, "','"), (#"{"a":-01}"#, "','"), (#"{"a":00}"#, "','"), (#"{"a":+1}"#, "value"),
    (#"{"a":.5}"#, "value"),
    (#"{"a":1.}"#, "number"), (#"{"a":1.e1}"#, "number"), (#"{"a":-}"#, "number"), (#"{"a":--1}"#, "number"),
    (#"{"a":-.5}"#, "number"), (#"{"a":1e}"#, "number"), (#"{"a":1e+}"#, "number"), (#"{"a":1e1.5}"#, "','"),
    (#"{"a":1ee1}"#, "number"), (#"{"a":0x10}"#, "','"), (#"{"a":1_000}"#, "','"), (#"{"a":1a}"#, "','"),
    (#"{"a":１}"#, "value"),
    (#"{"a":"\x41"}"#, "escape"), (#"{"a":"\'"}"#, "escape"), (#"{"a":"\0"}"#, "escape"),
    (#"{"a":"\U0041"}"#, "escape"),
    (#"{"a":"\u"}"#, "escape"), (#"{"a":"\u004"}"#, "escape"), (#"{"a":"\u00G0"}"#, "escape"),
    (#"{"a":"\u+041"}"#, "escape"),
    (#"{"a":"\u 041"}"#, "escape"), (#"{"a":"\a"}"#, "escape"),
    (#"{"a":"\uD800"}"#, "surrogate"), (#"{"a":"\uDC00"}"#, "surrogate"), (#"{"a":"\uDFFF\uD800"}"#, "surrogate"),
    (#"{"a":"\uD800x"}"#, "surrogate"), (#"{"a":"\uD800\n"}"#, "surrogate"), (#"{"a":"\uD800\u0041"}"#, "surrogate"),
    (#"{"a":"\uD800\uD800"}"#, "surrogate"), (#"{"a":"\uD800 \uDC00"}"#, "surrogate"), (#"{"\uD800":1}"#, "surrogate"),
    ("{\"a\":\"\0\"}", "control"), ("{\"a\":\"\t\"}", "control"), ("{\"a\":\"\n\"}", "control"),
    ("{\"a\":\"\r\"}", "control"),
    ("{\"a\":\"\u{1F}\"}", "control"), ("{\"a\u{01}\":1}", "control"), ("{\"a\":\"0123456789\u{0B}\"}", "control"),
    ("{\u{0B}}", "name"), ("{\u{0C}\"a\":1}", "name"), ("{\u{A0}}", "name"), ("{\"a\":\u{2003}1}", "value"),
    ("{\"a\":1\u{85}}", "','"),
  ]

  @Test("valid lines are accepted", arguments: valid)
  func accepts(_ line: String) {
    #expect(refusal(of: line) == nil)
    #expect(DumbJSON.request(Array(line.utf8)) != nil)
  }

  @Test("invalid lines are refused as bad_json and the message says why", arguments: invalid)
  func refuses(_ row: (line: String, says: String)) throws {
    let found = try #require(refusal(of: row.line))
    #expect(found.code == .badJSON)
    #expect(found.message.contains(row.says), "\(found.message)")
    #expect(DumbJSON.request(Array(row.line.utf8)) == nil)
  }

  @Test("the message gives the byte, counted from 1")
  func position() {
    #expect(
      refusal(of: #"{"a":1,}"#)?.message == "not a request: a field name in quotes was expected, at byte 8 of the line")
  }

  static let invalidUTF8: [[UInt8]] = [
    [0x80], [0xBF], [0xFE], [0xFF], [0xC0, 0x80], [0xC1, 0xBF], [0xE0, 0x80, 0x80], [0xE0, 0x9F, 0xBF],
    [0xF0, 0x80, 0x80, 0x80], [0xF0, 0x8F, 0xBF, 0xBF], [0xED, 0xA0, 0x80], [0xED, 0xBF, 0xBF],
    [0xF4, 0x90, 0x80, 0x80],
    [0xF5, 0x80, 0x80, 0x80], [0xF8, 0x88, 0x80, 0x80, 0x80], [0xC3], [0xC3, 0x28], [0xE2, 0x82], [0xE2, 0x28, 0xA1],
    [0xF0, 0x9F, 0x98], [0xF0, 0x28, 0x8C, 0xBC], [0xF0, 0x90, 0x28, 0xBC], [0xF0, 0x90, 0x8C, 0x28],
    [0xED, 0xA0, 0xBD, 0xED, 0xB8, 0x80], [0xC3, 0xA9, 0x80],
  ]

  @Test("invalid UTF-8 is refused in keys and values at every distance from the quotes", arguments: invalidUTF8)
  func utf8(_ bytes: [UInt8]) {
    for before in 0..<10 {
      for after in [0, 1, 9] {
        let text =
          Array(repeating: UInt8(ascii: "x"), count: before) + bytes + Array(repeating: UInt8(ascii: "y"), count: after)
        let value = Array(#"{"a":""#.utf8) + text + Array(#""}"#.utf8)
        #expect(refusal(of: value)?.code == .badJSON)
        #expect(refusal(of: Array(#"{""#.utf8) + text + Array(#"":1}"#.utf8))?.code == .badJSON)
      }
    }
    #expect(refusal(of: Array("{".utf8) + bytes + Array("}".utf8))?.code == .badJSON)
  }

  @Test("every scalar of one to four bytes at the edges of the encoding is accepted")
  func scalars() throws {
    for value: UInt32 in [
      0x20, 0x7F, 0x80, 0x7FF, 0x800, 0xFFF, 0x1000, 0xCFFF, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x3FFFF, 0x10FFFF,
    ] {
      let text = String(try #require(Unicode.Scalar(value)))
      let line = try ParsedLine(#"{"id":""# + text + #""}"#)
      #expect(try line.reader.text(.id) == text)
    }
  }

  static let duplicates = [
    #"{"op":1,"op":1}"#, #"{"a":1,"a":2}"#, #"{"a":1,"b":2,"a":3}"#, #"{"a":1,"\u0061":2}"#, #"{"op":1,"\u006fp":1}"#,
    #"{"x":{"a":1,"a":2}}"#, #"{"x":[{"a":1},{"b":1,"b":2}]}"#, #"{"headers":{"a":{"b":{"c":1,"c":1}}}}"#,
    #"{"body":1,"body":2}"#, #"{"body":{"a":1,"a":2},"op":1,"op":2}"#, #"{"messages":[{"body":1,"body":2}]}"#,
    #"{"messages":[{"body":{"a":1,"a":1},"id":1,"id":2}]}"#, #"{"messages":[{"headers":{"body":{"a":1,"a":2}}}]}"#,
    #"{"x":{"body":{"a":1,"a":2}}}"#, #"{"messages":{"body":{"a":1,"a":2}}}"#,
    #"{"messages":[[{"body":{"a":1,"a":2}}]]}"#,
    #"{"":1,"":2}"#, #"{"é":1,"\u00e9":2}"#, #"{"a\n":1,"a\u000A":2}"#, #"{"😀":1,"\ud83d\ude00":2}"#,
    #"{"x":{"a":{"q":1},"b":[{"a":1}],"a":2}}"#,
  ]

  @Test("a key that an object has twice is refused, at any level and however it is written", arguments: duplicates)
  func duplicate(_ line: String) {
    #expect(refusal(of: line)?.message.contains("same key twice") == true)
  }

  @Test(
    "inside of a body, also that of a message of a batch, keys may come twice",
    arguments: [
      #"{"body":{"a":1,"a":2}}"#, #"{"body":[{"x":{"a":1,"b":2,"a":3}}]}"#, #"{"body":{"a":1,"\u0061":2},"op":1}"#,
      #"{"messages":[{"body":{"a":1,"a":2}},{"body":[{"a":{"b":1,"b":2}}],"id":1}]}"#, #"{"body":{"body":1,"body":2}}"#,
    ])
  func duplicateInBody(_ line: String) {
    #expect(refusal(of: line) == nil)
  }

  @Test("a duplicate is found wherever it stands in an object of any size", arguments: [2, 15, 16, 17, 18, 40, 300])
  func duplicateInLarge(_ count: Int) {
    let members = (0..<count).map { "\"k\($0)\":{\"k0\":\($0),\"k1\":0}" }
    #expect(refusal(of: "{\"body\":{" + members.joined(separator: ",") + "}}") == nil)
    for again in [0, count / 2, count - 1] {
      let more = members + ["\"\\u006b\(again)\":1"]
      #expect(refusal(of: "{\"x\":{" + more.joined(separator: ",") + "}}")?.code == .badJSON)
      #expect(refusal(of: "{" + more.joined(separator: ",") + "}")?.code == .badJSON)
    }
  }

  @Test("nesting to depth 32 is accepted, the request object being depth 1; 33 is refused")
  func depth() {
    func nested(_ containers: Int, _ open: String, _ close: String) -> String {
      "{\"body\":" + String(repeating: open, count: containers) + "1" + String(repeating: close, count: containers)
        + "}"
    }
    #expect(refusal(of: nested(31, "[", "]")) == nil)
    #expect(refusal(of: nested(31, "{\"a\":", "}")) == nil)
    #expect(refusal(of: nested(32, "[", "]"))?.message.contains("deeper than 32") == true)
    #expect(refusal(of: nested(32, "{\"a\":", "}"))?.message.contains("deeper than 32") == true)
    #expect(refusal(of: "{\"a\":" + String(repeating: "[", count: 100_000))?.code == .badJSON)
  }

  @Test("an object of 100 000 keys costs a number of comparisons in proportion")
  func linear() throws {
    let count = 100_000
    var bytes = Array("{\"body\":{".utf8)
    for key in 0..<count { bytes += Array("\"\(key)\":0,".utf8) }
    bytes[bytes.count - 1] = UInt8(ascii: "}")
    bytes.append(UInt8(ascii: "}"))
    let line = try ParsedLine(bytes)
    // Half-full tables and linear probing: under one extra probe a key, twice over for luck.
    #expect(line.reader.keyComparisons < 4 * count)
    let top = try ParsedLine(Array(bytes.dropFirst(8).dropLast()))
    #expect(top.reader.keyComparisons < 4 * count)
    #expect(top.reader.unknownField == "0")
  }

  @Test("a blank line is spaces, tabs and returns")
  func blank() {
    for (text, isBlank) in [("", true), (" ", true), (" \t\r", true), ("{}", false), (" x", false), ("\0", false)] {
      var text = text
      text.withUTF8 { #expect(RequestReader.isBlank(UnsafeRawBufferPointer($0)) == isBlank) }
    }
  }
}
