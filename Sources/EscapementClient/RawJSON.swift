// A JSON value as it came: its bytes, looked into on demand, so that message bodies keep every byte they were sent with.
//
// Holds: the range is one valid value (JSONScanner found it).
// Leaves to others: what the fields mean (Results, Delivery).

import Foundation

struct RawJSON: Sendable {
  let bytes: [UInt8]
  let range: Range<Int>

  init(bytes: [UInt8], range: Range<Int>) {
    self.bytes = bytes
    self.range = range
  }

  /// Reads a whole text as one value.
  init(text: [UInt8]) throws(EscapementError) {
    do throws(JSONFault) {
      var scanner = JSONScanner(text, in: 0..<text.count)
      let value = try scanner.skipValue()
      scanner.skipBlanks()
      guard scanner.position == text.count else { throw scanner.fault("text after the value") }
      self.init(bytes: text, range: value)
    } catch {
      throw .badReply("not JSON at byte \(error.offset): \(error.reason)")
    }
  }

  private var first: UInt8 { bytes[range.lowerBound] }

  var data: Data { Data(bytes[range]) }

  var isObject: Bool { first == UInt8(ascii: "{") }

  /// An object's members in their order; empty for other values.
  var members: [(key: String, value: RawJSON)] {
    guard isObject else { return [] }
    var found: [(key: String, value: RawJSON)] = []
    var scanner = JSONScanner(bytes, in: range)
    try? scanner.eachMember(depth: 0) { key, value in
      found.append((RawJSON(bytes: bytes, range: key).string ?? "", RawJSON(bytes: bytes, range: value)))
    }
    return found
  }

  /// An array's elements; empty for other values.
  var elements: [RawJSON] {
    guard first == UInt8(ascii: "[") else { return [] }
    var found: [RawJSON] = []
    var scanner = JSONScanner(bytes, in: range)
    try? scanner.eachElement(depth: 0) { found.append(RawJSON(bytes: bytes, range: $0)) }
    return found
  }

  var int: Int64? { Int64(String(decoding: bytes[range], as: UTF8.self)) }

  var offset: UInt64? { UInt64(String(decoding: bytes[range], as: UTF8.self)) }

  var double: Double? {
    guard first == UInt8(ascii: "-") || hexDigitValue(first).map({ $0 < 10 }) == true else { return nil }
    return Double(String(decoding: bytes[range], as: UTF8.self))
  }

  var bool: Bool? {
    switch first {
    case UInt8(ascii: "t"): true
    case UInt8(ascii: "f"): false
    default: nil
    }
  }

  /// The string with its escapes resolved; nil for other values.
  var string: String? {
    guard first == UInt8(ascii: "\"") else { return nil }
    let inside = bytes[(range.lowerBound + 1)..<(range.upperBound - 1)]
    guard inside.contains(UInt8(ascii: "\\")) else { return String(decoding: inside, as: UTF8.self) }
    return unescaped(inside)
  }

  private func unescaped(_ text: ArraySlice<UInt8>) -> String {
    var units: [UInt16] = []  // UTF-16, because surrogate escapes come in pairs of units
    var plainStart = text.startIndex
    var index = text.startIndex
    func takePlain() { units.append(contentsOf: String(decoding: text[plainStart..<index], as: UTF8.self).utf16) }
    while index < text.endIndex {
      guard text[index] == UInt8(ascii: "\\") else {
        index += 1
        continue
      }
      takePlain()
      switch text[index + 1] {
      case UInt8(ascii: "u"):
        units.append(text[(index + 2)..<(index + 6)].reduce(0) { $0 << 4 | UInt16(hexDigitValue($1) ?? 0) })
        index += 4
      case UInt8(ascii: "b"): units.append(0x08)
      case UInt8(ascii: "f"): units.append(0x0C)
      case UInt8(ascii: "n"): units.append(0x0A)
      case UInt8(ascii: "r"): units.append(0x0D)
      case UInt8(ascii: "t"): units.append(0x09)
      case let same: units.append(UInt16(same))
      }
      index += 2
      plainStart = index
    }
    takePlain()
    return String(decoding: units, as: UTF16.self)
  }
}

/// The members of one object, by key: a line from the server, or a part of one.
struct RawObject: Sendable {
  private let fields: [String: RawJSON]

  init(_ value: RawJSON) throws(EscapementError) {
    guard value.isObject else { throw .badReply("an object expected") }
    fields = Dictionary(value.members.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
  }

  init(line: [UInt8]) throws(EscapementError) { try self.init(RawJSON(text: line)) }

  subscript(_ key: String) -> RawJSON? { fields[key] }

  func int(_ key: String) throws(EscapementError) -> Int64 {
    guard let value = fields[key]?.int else { throw .badReply("the field '\(key)' should be an integer") }
    return value
  }

  func offset(_ key: String) throws(EscapementError) -> UInt64 {
    guard let value = fields[key]?.offset else { throw .badReply("the field '\(key)' should be an offset") }
    return value
  }

  func string(_ key: String) throws(EscapementError) -> String {
    guard let value = fields[key]?.string else { throw .badReply("the field '\(key)' should be a string") }
    return value
  }

  /// The body of a message: the JSON text under `body`, or the bytes under `bodyBase64`.
  func body() throws(EscapementError) -> Data {
    if let body = fields["body"] { return body.data }
    guard let text = fields["bodyBase64"]?.string, let bytes = Data(base64Encoded: text) else {
      throw .badReply("a message without a body")
    }
    return bytes
  }

  func objects(_ key: String) throws(EscapementError) -> [RawObject] {
    guard let value = fields[key] else { throw .badReply("the field '\(key)' is missing") }
    var found: [RawObject] = []
    for element in value.elements { found.append(try RawObject(element)) }
    return found
  }

  /// A field whose text is one of an enum's cases.
  func choice<Choice: RawRepresentable<String>>(_ key: String) throws(EscapementError) -> Choice {
    let text = try string(key)
    guard let value = Choice(rawValue: text) else { throw .badReply("'\(text)' is no known \(key)") }
    return value
  }

  func stringMap(_ key: String) -> [String: String] {
    Dictionary(
      (fields[key]?.members ?? []).compactMap { member in member.value.string.map { (member.key, $0) } },
      uniquingKeysWith: { first, _ in first })
  }
}
