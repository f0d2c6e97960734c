// The fields of a request: types, missing ones, messages.

import Testing

@testable import LineProtocol

@Suite("a request's fields are read by name and type")
struct RequestReaderTests {
  static let schedule =
    #" {"op":"schedule","rid":7, "topic":"t","delayMs":1500 ,"headers":{"a":"1","b":"\u0032"}, "body": { "x" : [1, 2] } ,"tags":["a","\u0062"],"offsets":[3,-4],"ordered":true,"noAck":false} "#

  @Test("fields that are there are given, those that are not are nil")
  func fields() throws {
    let line = try ParsedLine(Self.schedule)
    #expect(try line.reader.text(.op) == "schedule")
    #expect(try line.reader.integer(.delayMs) == 1500)
    #expect(try line.reader.rid()?.text == "7")
    #expect(line.reader.raw(.body)?.text == #"{ "x" : [1, 2] }"#)
    #expect(line.reader.raw(.delayMs)?.text == "1500")
    #expect(try line.reader.boolean(.ordered) == true)
    #expect(try line.reader.boolean(.noAck) == false)
    #expect(try line.reader.strings(.tags) == ["a", "b"])
    #expect(try line.reader.integers(.offsets) == [3, -4])
    #expect(try line.reader.objectOfStrings(.headers)?.text == #"{"a":"1","b":"\u0032"}"#)
    #expect(line.reader.kind(of: .headers) == .object)
    #expect(line.reader.present.count == 10)
    #expect(
      try line.reader.text(.id) == nil && line.reader.integer(.limit) == nil && line.reader.boolean(.multiple) == nil)
    #expect(
      try line.reader.strings(.keys) == nil && line.reader.integers(.upTo) == nil && line.reader.object(.from) == nil)
    #expect(try line.reader.array(.messages) == nil && line.reader.objectOfStrings(.properties) == nil)
    #expect(line.reader.raw(.to) == nil && line.reader.kind(of: .to) == nil && !line.reader.has(.to))
  }

  static let integers: [(text: String, value: Int64?)] = [
    ("0", 0), ("-0", 0), ("1", 1), ("-1", -1), ("9223372036854775807", .max), ("-9223372036854775808", .min),
    ("9223372036854775808", nil), ("-9223372036854775809", nil), ("10000000000000000000", nil),
    ("18446744073709551616", nil), ("99999999999999999999", nil), ("100000000000000000000000000000", nil),
  ]

  @Test("integers are read to the limits of 64 bits and refused beyond", arguments: integers)
  func integer(_ row: (text: String, value: Int64?)) throws {
    let line = try ParsedLine("{\"delayMs\":\(row.text),\"offsets\":[\(row.text)]}")
    if let value = row.value {
      #expect(try line.reader.integer(.delayMs) == value)
      #expect(try line.reader.integers(.offsets) == [value])
    } else {
      #expect(
        refusal(of: "{\"delayMs\":\(row.text)}") { reader throws(Refusal) in _ = try reader.integer(.delayMs) }
          == .badRequest("field 'delayMs' is out of range: it must fit into 64 bits"))
      #expect(throws: Refusal.self) { _ = try line.reader.integers(.offsets) }
    }
  }

  @Test(
    "a number with fraction or exponent is not an integer",
    arguments: ["1.0", "1e3", "0.5", "-1E+2", "1e0", "99999999999999999999.0"])
  func notAnInteger(_ text: String) {
    let found = refusal(of: "{\"delayMs\":\(text)}") { reader throws(Refusal) in _ = try reader.integer(.delayMs) }
    #expect(found == .badRequest("field 'delayMs' must be an integer, without fraction or exponent"))
  }

  @Test("a field of the wrong type is refused by name, null as well")
  func wrongTypes() {
    let values = [
      ("string", "\"x\""), ("number", "1"), ("object", "{}"), ("array", "[]"), ("boolean", "true"), ("null", "null"),
    ]
    typealias Read = (RequestReader) throws(Refusal) -> Void
    let reads: [(String, String, Read)] = [
      ("string", "a string", { reader throws(Refusal) in _ = try reader.string(.key) }),
      ("number", "an integer", { reader throws(Refusal) in _ = try reader.integer(.key) }),
      ("boolean", "true or false", { reader throws(Refusal) in _ = try reader.boolean(.key) }),
      ("object", "an object", { reader throws(Refusal) in _ = try reader.object(.key) }),
      ("object", "an object of strings", { reader throws(Refusal) in _ = try reader.objectOfStrings(.key) }),
      ("array", "an array", { reader throws(Refusal) in _ = try reader.array(.key) }),
      ("array", "an array of strings", { reader throws(Refusal) in _ = try reader.strings(.key) }),
      ("array", "an array of integers", { reader throws(Refusal) in _ = try reader.integers(.key) }),
    ]
    for (kind, value) in values {
      for (wanted, words, read) in reads {
        let found = refusal(of: "{\"key\":\(value)}", reading: read)
        if kind == wanted {
          #expect(found == nil)
        } else {
          #expect(found?.code == .badRequest)
          #expect(
            found?.message.hasPrefix("field 'key' must be \(words), not ") == true, "\(found?.message ?? "accepted")")
        }
      }
    }
  }

  @Test("an element of the wrong type is refused by the field's name")
  func wrongElements() {
    #expect(
      refusal(of: #"{"tags":["a",1]}"#) { reader throws(Refusal) in _ = try reader.strings(.tags) }
        == .badRequest("field 'tags' must be an array of strings, but has a number in it"))
    #expect(
      refusal(of: #"{"offsets":[1,null]}"#) { reader throws(Refusal) in _ = try reader.integers(.offsets) }
        == .badRequest("field 'offsets' must be an array of integers, but has null in it"))
    #expect(
      refusal(of: #"{"headers":{"a":"b","c":{}}}"#) { reader throws(Refusal) in _ = try reader.objectOfStrings(.headers)
      }
        == .badRequest("field 'headers' must be an object of strings, but has an object in it"))
  }

  static let rids: [(text: String, isGood: Bool)] = [
    ("1", true), ("-9", true), ("\"a\"", true), ("\"\"", true), (#""\u0041\n""#, true),
    ("123456789012345678901234567890", true),
    ("\"" + String(repeating: "x", count: 128) + "\"", true), ("\"" + String(repeating: "x", count: 129) + "\"", false),
    ("\"" + String(repeating: #"\u0041"#, count: 128) + "\"", true),
    ("\"" + String(repeating: "é", count: 65) + "\"", false),
    (String(repeating: "1", count: 129), false), ("1.5", false), ("1e3", false), ("null", false), ("true", false),
    ("[]", false),
    ("{}", false),
  ]

  @Test("rid is a string of up to 128 bytes or an integer, and is echoed unchanged", arguments: rids)
  func rid(_ row: (text: String, isGood: Bool)) throws {
    let line = try ParsedLine("{\"rid\": \(row.text) }")
    if row.isGood {
      #expect(try line.reader.rid()?.text == row.text)
    } else {
      #expect(throws: Refusal.badRequest("field 'rid' must be a string of at most 128 bytes or an integer")) {
        _ = try line.reader.rid()
      }
    }
  }

  @Test("the first field that an operation does not take is named")
  func requireOnly() throws {
    func check(_ text: String, _ allowed: FieldSet) -> String? {
      refusal(of: text) { reader throws(Refusal) in try reader.requireOnly(allowed, operation: "get") }?.message
    }
    #expect(check(#"{"op":"get","rid":1,"topic":"t","id":"x"}"#, [.topic, .id]) == nil)
    #expect(
      check(#"{"op":"get","topic":"t","delayMS":1}"#, [.topic, .id])
        == "unknown field 'delayMS'; 'get' takes: topic, id")
    #expect(check(#"{"op":"get","credit":1,"delayMS":1}"#, [.topic, .id])?.hasPrefix("unknown field 'credit'") == true)
    #expect(
      check(#"{"op":"get","delayMS":1,"credit":1}"#, [.topic, .id])?.hasPrefix("unknown field 'delayMS'") == true)
    #expect(check(#"{"op":"get","sub":1,"credit":1}"#, [.topic, .id])?.hasPrefix("unknown field 'sub'") == true)
    #expect(check(#"{"credit":1,"sub":1}"#, []) == "unknown field 'credit'; 'get' takes: no fields")
    #expect(check(#"{"\u0001\"":1}"#, []) == "unknown field '\u{1}\"'; 'get' takes: no fields")
    let long = String(repeating: "n", count: 1000)
    #expect(check("{\"\(long)\":1}", [])!.utf8.count < 120)
    #expect(check(#"{"":1}"#, [])?.hasPrefix("unknown field ''") == true)
  }

  @Test("a reader forgets the last line, also after a refused one")
  func reuse() throws {
    let reader = RequestReader()
    // The fields are only asked whether they are there, so the line may go.
    func parse(_ text: String) throws { try Array(text.utf8).withUnsafeBytes { try reader.parse($0) } }
    try parse(#"{"topic":"t","x":1}"#)
    try parse(#"{"id":"t"}"#)
    #expect(!reader.has(.topic) && reader.has(.id) && reader.unknownField == nil)
    #expect(throws: Refusal.self) { try parse(#"{"topic":"t","y":1"#) }
    #expect(reader.present.isEmpty && reader.unknownField == nil)
    #expect(throws: Refusal.self) { try reader.parse(UnsafeRawBufferPointer(start: nil, count: 0)) }
  }

  @Test("decoded strings stay in place until the next parse", arguments: [10, 100, 10_000])
  func arena(_ length: Int) throws {
    let names: [FieldName] = [.topic, .id, .key, .tag, .client, .token, .cursor, .group]
    let members = names.map {
      "\"\($0.rawValue)\":\"\\u0041" + String(repeating: $0.rawValue.last!, count: length) + "\""
    }
    let line = try ParsedLine("{" + members.joined(separator: ",") + "}")
    let strings = try names.map { try line.reader.string($0)! }
    for (name, bytes) in zip(names, strings) {
      #expect(bytes.text == "A" + String(repeating: name.rawValue.last!, count: length))
      #expect(try line.reader.string(name)?.baseAddress == bytes.baseAddress)
    }
  }

  @Test("the objects of an array are read by a second reader")
  func nested() throws {
    let line = try ParsedLine(#"{"messages":[{"topic":"a","delayMs":1}, {"topic":"\u0062","bodY":2} ,7]}"#)
    let second = RequestReader()
    var cursor = try #require(try line.reader.array(.messages))
    let first = cursor.next()!
    try second.parseValidated(first.raw, name: "messages[0]")
    #expect(try second.text(.topic) == "a" && second.integer(.delayMs) == 1)
    let next = cursor.next()!
    try second.parseValidated(next.raw, name: "messages[1]")
    #expect(try second.text(.topic) == "b" && second.unknownField == "bodY")
    let last = cursor.next()!
    #expect(throws: Refusal.badRequest("messages[2] must be an object")) {
      try second.parseValidated(last.raw, name: "messages[2]")
    }
    #expect(cursor.next() == nil)
    #expect(try line.reader.array(.messages) != nil)
  }

  @Test("every field name is found by its bytes, and nothing else is")
  func names() {
    #expect(FieldName.allCases.count <= 256)
    #expect(RequestReader.always == [.op, .rid])
    for (index, field) in FieldName.allCases.enumerated() {
      #expect(field.index == index)
      let bytes = Array(field.rawValue.utf8)
      #expect(bytes.withUnsafeBytes { FieldName(bytes: $0) } == field)
      for place in bytes.indices {
        for other in [bytes[place] ^ 1, bytes[place] ^ 0x20, 0] {
          var changed = bytes
          changed[place] = other
          let expected = FieldName(rawValue: String(decoding: changed, as: UTF8.self))
          #expect(changed.withUnsafeBytes { FieldName(bytes: $0) } == expected)
        }
      }
      for changed in [Array(bytes.dropLast()), Array(bytes.dropFirst()), bytes + [0], bytes + bytes, [0] + bytes] {
        let expected = FieldName(rawValue: String(decoding: changed, as: UTF8.self))
        #expect(changed.withUnsafeBytes { FieldName(bytes: $0) } == expected)
      }
    }
  }

  @Test("a set of fields holds what was put in")
  func sets() {
    for field in FieldName.allCases {
      let set: FieldSet = [field, .op]
      #expect(set.names == (field == .op ? [.op] : [.op, field]))
      #expect(set.subtracting([field]).contains(field) == false)
    }
    #expect(([.op, .id] as FieldSet).union([.topic]).subtracting([.op]) == [.topic, .id])
    #expect(FieldSet().isEmpty && ([.appId] as FieldSet).count == 1)
  }

  @Test("the error codes are those of the protocol")
  func codes() {
    let expected = """
      bad_json line_too_long bad_request unknown_op unauthenticated forbidden not_found exists delay_out_of_range \
      body_too_large limit_exceeded busy disk_full storage_failed shutting_down precondition_failed bad_state \
      not_leader
      """
    #expect(Set(WireError.allCases.map(\.rawValue)) == Set(expected.split(separator: " ").map(String.init)))
  }
}
