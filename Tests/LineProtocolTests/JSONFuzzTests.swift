// The reader beside the dumb model, on lines made and spoiled at random from a seed.

import SeededRandom
import Testing

@testable import LineProtocol

@Suite("the reader agrees with the dumb model")
struct JSONFuzzTests {
  /// Both verdicts, and for accepted lines every field's text and bytes.
  private func compare(_ bytes: [UInt8], _ reader: RequestReader, _ comment: @autoclosure () -> String) {
    let expected = DumbJSON.request(bytes)
    bytes.withUnsafeBytes { line in
      do throws(Refusal) {
        try reader.parse(line)
      } catch {
        #expect(expected == nil && error.code == .badJSON, "\(comment())")
        return
      }
      guard let expected else {
        Issue.record("accepted what must be refused: \(comment())")
        return
      }
      for member in expected { compare(member, reader, comment()) }
      #expect(reader.present.count == expected.filter { isKnown($0.key) }.count, "\(comment())")
      let unknown = expected.first { !isKnown($0.key) }
      #expect((reader.unknownField == nil) == (unknown == nil), "\(comment())")
    }
  }

  private func isKnown(_ key: [UInt8]) -> Bool { FieldName(rawValue: String(decoding: key, as: UTF8.self)) != nil }

  private func compare(_ member: DumbJSON.Member, _ reader: RequestReader, _ comment: String) {
    guard let field = FieldName(rawValue: String(decoding: member.key, as: UTF8.self)) else { return }
    #expect(reader.raw(field).map(Array.init) == member.raw, "\(comment)")
    if case .string(let bytes) = member.value {
      #expect((try? reader.string(field)).flatMap { $0.map(Array.init) } == bytes, "\(comment)")
    } else {
      #expect(throws: Refusal.self, "\(comment)") { _ = try reader.string(field) }
    }
    switch member.value {
    case .object, .array: #expect(walk(member.raw, reader, field) == member.value, "\(comment)")
    default: break
    }
  }

  /// A container as a tree, by the cursors.
  private func walk(_ raw: [UInt8], _ reader: RequestReader, _ field: FieldName) -> DumbJSON {
    tree(JSONValue(raw: reader.raw(field)!, arena: reader.arena))
  }

  private func tree(_ value: JSONValue) -> DumbJSON {
    switch value.kind {
    case .string: return .string(Array(value.string()!))
    case .number: return .number(value.raw.text)
    case .true, .false: return .boolean(value.boolean()!)
    case .null: return .null
    case .array:
      var elements: [DumbJSON] = []
      var cursor = value.array()!
      while let element = cursor.next() { elements.append(tree(element)) }
      return .array(elements)
    case .object:
      var members: [DumbJSON.Member] = []
      var cursor = value.object()!
      while let (key, value) = cursor.next() {
        members.append(.init(key: Array(key), value: tree(value), raw: Array(value.raw)))
      }
      return .object(members)
    }
  }

  @Test("on lines spoiled in one to three places", arguments: UInt64(1)...40)
  func mutated(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let reader = RequestReader()
    for round in 0..<60 {
      var bytes = LineMaker.line(&random)
      compare(bytes, reader, "seed \(seed) round \(round): \(String(decoding: bytes, as: UTF8.self))")
      for _ in 0..<Int.random(in: 1...3, using: &random) { LineMaker.spoil(&bytes, &random) }
      compare(bytes, reader, "seed \(seed) round \(round), spoiled: \(bytes)")
    }
  }

  @Test("every proper prefix of a valid line is refused", arguments: UInt64(1)...10)
  func prefixes(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let line = LineMaker.line(&random)
    #expect(refusal(of: line) == nil)
    // Only the white space behind the last brace may be missing.
    for count in 0...line.lastIndex(of: UInt8(ascii: "}"))! {
      #expect(refusal(of: Array(line[..<count]))?.code == .badJSON, "seed \(seed): the first \(count) bytes of \(line)")
    }
  }

  @Test("every byte of a valid line set to every value")
  func everyByte() {
    let line = Array(#"{"id":"aé\n\u00e9","delayMs":-1.5e3,"x":[1,{"k":null}]}"#.utf8)
    let reader = RequestReader()
    for place in line.indices {
      for value in UInt8.min...UInt8.max {
        var bytes = line
        bytes[place] = value
        compare(bytes, reader, "byte \(place) set to \(value)")
      }
    }
  }
}

/// Makes valid request lines, and spoils them.
enum LineMaker {
  static func line(_ random: inout SplitMix64) -> [UInt8] {
    var text =
      space(&random) + object(&random, depth: 1, keys: FieldName.allCases.map(\.rawValue).shuffled(using: &random))
    text += space(&random)
    return Array(text.utf8)
  }

  static func spoil(_ bytes: inout [UInt8], _ random: inout SplitMix64) {
    let telling = Array("{}[]\",:\\u0d8ft-+.eE \n\u{7F}".utf8) + [0x00, 0x1F, 0x80, 0xBF, 0xC0, 0xE0, 0xED, 0xF4, 0xFF]
    let place = Int.random(in: 0..<max(bytes.count, 1), using: &random)
    let byte = telling.randomElement(using: &random)!
    switch Int.random(in: 0..<5, using: &random) {
    case 0 where !bytes.isEmpty: bytes[place] = byte
    case 1 where !bytes.isEmpty: bytes.remove(at: place)
    case 2 where !bytes.isEmpty: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
    case 3 where bytes.count > 8:
      // A piece said twice: what makes duplicate keys.
      let from = Int.random(in: 0..<bytes.count, using: &random)
      let piece = bytes[from..<min(from + Int.random(in: 1...12, using: &random), bytes.count)]
      bytes.insert(contentsOf: Array(piece), at: place)
    default: bytes.insert(byte, at: min(place, bytes.count))
    }
  }

  private static func space(_ random: inout SplitMix64) -> String {
    ["", "", "", " ", "\t", " \r "].randomElement(using: &random)!
  }

  private static func object(_ random: inout SplitMix64, depth: Int, keys: [String] = []) -> String {
    let count = Int.random(in: 0...(depth == 1 ? 6 : 3), using: &random)
    let members = (0..<count).map { index in
      let key = index < keys.count && Bool.random(using: &random) ? keys[index] : "k\(index)" + plain(&random)
      return space(&random) + escaped(key, &random) + space(&random) + ":" + space(&random)
        + value(&random, depth: depth + 1) + space(&random)
    }
    return "{" + (members.isEmpty ? space(&random) : members.joined(separator: ",")) + "}"
  }

  private static func value(_ random: inout SplitMix64, depth: Int) -> String {
    switch Int.random(in: 0..<(depth > 5 ? 6 : 9), using: &random) {
    case 0, 1: return escaped(plain(&random), &random)
    case 2: return String(Int64.random(in: .min ... .max, using: &random))
    case 3:
      return ["0", "-0", "1.5", "-2e10", "3E-2", "0.125e+3", "99999999999999999999"].randomElement(using: &random)!
    case 4, 5: return ["true", "false", "null"].randomElement(using: &random)!
    case 6:
      let elements = (0..<Int.random(in: 0...3, using: &random)).map { _ in
        space(&random) + value(&random, depth: depth + 1) + space(&random)
      }
      return "[" + elements.joined(separator: ",") + "]"
    default: return object(&random, depth: depth)
    }
  }

  static func plain(_ random: inout SplitMix64) -> String {
    let alphabet = Array(
      "abcxyz0189 _-./{}[]:,'\"\\\u{08}\u{0C}\n\r\t\u{1}\u{7F}é߿ࠀ€\u{FFFD}😀\u{10FFFF}".unicodeScalars)
    var text = String.UnicodeScalarView()
    for _ in 0..<Int.random(in: 0...20, using: &random) { text.append(alphabet.randomElement(using: &random)!) }
    return String(text)
  }

  /// A JSON string: escaped where it must be, and in some other places too.
  static func escaped(_ text: String, _ random: inout SplitMix64) -> String {
    var output = "\""
    for scalar in text.unicodeScalars {
      let needs = scalar.value < 0x20 || scalar == "\"" || scalar == "\\"
      guard needs || Int.random(in: 0..<8, using: &random) == 0 else {
        output.unicodeScalars.append(scalar)
        continue
      }
      for unit in String(scalar).utf16 {
        let hex = String(unit, radix: 16, uppercase: Bool.random(using: &random))
        output += "\\u" + String(repeating: "0", count: 4 - hex.count) + hex
      }
    }
    return output + "\""
  }
}
