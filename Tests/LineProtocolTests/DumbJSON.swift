// The dumb model of the reader: a recursive descent over an array of bytes, one byte at a time, that builds a tree.
//
// Written from RFC 8259 and the framing rules alone; shares no code with the module.

/// A JSON value as a tree; keys in the order of the text.
indirect enum DumbJSON: Equatable {
  case string([UInt8])
  case number(String)
  case object([Member])
  case array([DumbJSON])
  case boolean(Bool)
  case null

  struct Member: Equatable {
    var key: [UInt8]
    var value: DumbJSON
    var raw: [UInt8]
  }

  /// The members of a request, or nil when the line must be refused.
  static func request(_ line: [UInt8]) -> [Member]? {
    var parser = DumbParser(bytes: line)
    parser.space()
    guard parser.peek == UInt8(ascii: "{"), let value = parser.value(depth: 0) else { return nil }
    parser.space()
    guard parser.place == line.count, case .object(let members) = value else { return nil }
    return members
  }
}

private struct DumbParser {
  let bytes: [UInt8]
  var place = 0

  var peek: UInt8? { place < bytes.count ? bytes[place] : nil }

  mutating func space() { while let byte = peek, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { place += 1 } }

  mutating func take(_ letter: Unicode.Scalar) -> Bool {
    guard peek == UInt8(ascii: letter) else { return false }
    place += 1
    return true
  }

  mutating func take(word: String) -> Bool {
    guard bytes[place...].starts(with: word.utf8) else { return false }
    place += word.utf8.count
    return true
  }

  mutating func value(depth: Int) -> DumbJSON? {
    space()
    if take(word: "true") { return .boolean(true) }
    if take(word: "false") { return .boolean(false) }
    if take(word: "null") { return .null }
    switch peek {
    case UInt8(ascii: "\""): return string().map { .string($0) }
    case UInt8(ascii: "{"): return depth == 32 ? nil : object(depth: depth + 1)
    case UInt8(ascii: "["): return depth == 32 ? nil : array(depth: depth + 1)
    default: return number()
    }
  }

  mutating func object(depth: Int) -> DumbJSON? {
    place += 1
    var members: [DumbJSON.Member] = []
    space()
    if take("}") { return .object([]) }
    repeat {
      space()
      guard peek == UInt8(ascii: "\""), let key = string(), !members.contains(where: { $0.key == key }) else {
        return nil
      }
      space()
      guard take(":") else { return nil }
      space()
      let start = place
      guard let value = value(depth: depth) else { return nil }
      members.append(.init(key: key, value: value, raw: Array(bytes[start..<place])))
      space()
    } while take(",")
    return take("}") ? .object(members) : nil
  }

  mutating func array(depth: Int) -> DumbJSON? {
    place += 1
    var elements: [DumbJSON] = []
    space()
    if take("]") { return .array([]) }
    repeat {
      guard let element = value(depth: depth) else { return nil }
      elements.append(element)
      space()
    } while take(",")
    return take("]") ? .array(elements) : nil
  }

  mutating func digits() -> Int {
    let start = place
    while let byte = peek, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { place += 1 }
    return place - start
  }

  mutating func number() -> DumbJSON? {
    let start = place
    _ = take("-")
    let startsWithZero = peek == UInt8(ascii: "0")
    let count = digits()
    if count == 0 || startsWithZero && count > 1 { return nil }
    if take("."), digits() == 0 { return nil }
    if take("e") || take("E") {
      if !take("+") { _ = take("-") }
      if digits() == 0 { return nil }
    }
    return .number(String(decoding: bytes[start..<place], as: UTF8.self))
  }

  mutating func string() -> [UInt8]? {
    place += 1
    var units: [UInt8] = []
    while let byte = peek, byte != UInt8(ascii: "\"") {
      if byte < 0x20 { return nil }
      place += 1
      guard byte == UInt8(ascii: "\\") else {
        units.append(byte)
        continue
      }
      guard let escaped = escape() else { return nil }
      units += escaped
    }
    // The standard library's validation stands in for the UTF-8 rules.
    return take("\"") && String(validating: units, as: UTF8.self) != nil ? units : nil
  }

  mutating func escape() -> [UInt8]? {
    guard let letter = peek else { return nil }
    place += 1
    let plain: [Unicode.Scalar: UInt8] = [
      "\"": 0x22, "\\": 0x5C, "/": 0x2F, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9,
    ]
    if let unit = plain[Unicode.Scalar(letter)] { return [unit] }
    guard letter == UInt8(ascii: "u"), let first = hex() else { return nil }
    var units = [first]
    if first & 0xFC00 == 0xD800 {
      guard take("\\"), take("u"), let second = hex() else { return nil }
      units.append(second)
    }
    return String(validating: units, as: UTF16.self).map { Array($0.utf8) }
  }

  mutating func hex() -> UInt16? {
    guard place + 4 <= bytes.count else { return nil }
    let text = bytes[place..<place + 4]
    guard text.allSatisfy({ Character(Unicode.Scalar($0)).isHexDigit && $0 < 0x80 }) else { return nil }
    place += 4
    return UInt16(String(decoding: text, as: UTF8.self), radix: 16)
  }
}
