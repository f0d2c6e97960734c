// A strict, bounded scanner over JSON text: finds where values begin and end, and refuses what a server would refuse.
//
// Holds: never reads outside its bytes, never recurses deeper than `depthMax`; what it accepts is RFC 8259 (UTF-8 validity
// is checked by who owns the bytes, once for the whole text).
// Leaves to others: the meaning of values (RawJSON).

/// Why a text is not JSON, and where.
struct JSONFault: Error, Equatable {
  var offset: Int
  var reason: String
}

struct JSONScanner {
  let bytes: [UInt8]
  var position: Int
  let end: Int
  /// How many objects and arrays may lie inside one another.
  let depthMax: Int

  init(_ bytes: [UInt8], in range: Range<Int>, depthMax: Int = 64) {
    self.bytes = bytes
    position = range.lowerBound
    end = range.upperBound
    self.depthMax = depthMax
  }

  func fault(_ reason: String) -> JSONFault { JSONFault(offset: position, reason: reason) }

  var peek: UInt8? { position < end ? bytes[position] : nil }

  mutating func skipBlanks() {
    while position < end, [0x20, 0x09, 0x0A, 0x0D].contains(bytes[position]) { position += 1 }
  }

  mutating func expect(_ byte: UInt8, _ what: String) throws(JSONFault) {
    guard peek == byte else { throw fault("\(what) expected") }
    position += 1
  }

  /// Passes over one value with the blanks in front of it; gives the value's own range.
  mutating func skipValue(depth: Int = 0) throws(JSONFault) -> Range<Int> {
    skipBlanks()
    let start = position
    switch peek {
    case UInt8(ascii: "{"): try eachMember(depth: depth) { _, _ in }
    case UInt8(ascii: "["): try eachElement(depth: depth) { _ in }
    case UInt8(ascii: "\""): try skipString()
    case UInt8(ascii: "t"): try skipWord("true")
    case UInt8(ascii: "f"): try skipWord("false")
    case UInt8(ascii: "n"): try skipWord("null")
    case .some(let byte) where byte == UInt8(ascii: "-") || isDigit(byte): try skipNumber()
    case .none: throw fault("the text ends where a value should be")
    default: throw fault("a value expected")
    }
    return start..<position
  }

  /// Passes over an object, handing over each member's key (its range with the quotes) and value.
  mutating func eachMember(depth: Int, _ body: (Range<Int>, Range<Int>) -> Void) throws(JSONFault) {
    try expect(UInt8(ascii: "{"), "'{'")
    guard depth < depthMax else { throw fault("nested deeper than \(depthMax)") }
    skipBlanks()
    if peek == UInt8(ascii: "}") {
      position += 1
      return
    }
    while true {
      skipBlanks()
      let keyStart = position
      try skipString()
      let key = keyStart..<position
      skipBlanks()
      try expect(UInt8(ascii: ":"), "':'")
      body(key, try skipValue(depth: depth + 1))
      skipBlanks()
      if peek == UInt8(ascii: ",") {
        position += 1
        continue
      }
      return try expect(UInt8(ascii: "}"), "',' or '}'")
    }
  }

  /// Passes over an array, handing over each element's range.
  mutating func eachElement(depth: Int, _ body: (Range<Int>) -> Void) throws(JSONFault) {
    try expect(UInt8(ascii: "["), "'['")
    guard depth < depthMax else { throw fault("nested deeper than \(depthMax)") }
    skipBlanks()
    if peek == UInt8(ascii: "]") {
      position += 1
      return
    }
    while true {
      body(try skipValue(depth: depth + 1))
      skipBlanks()
      if peek == UInt8(ascii: ",") {
        position += 1
        continue
      }
      return try expect(UInt8(ascii: "]"), "',' or ']'")
    }
  }

  private mutating func skipWord(_ word: StaticString) throws(JSONFault) {
    let count = word.utf8CodeUnitCount
    guard end - position >= count else { throw fault("a value expected") }
    for index in 0..<count where bytes[position + index] != word.utf8Start[index] { throw fault("a value expected") }
    position += count
  }

  private mutating func skipNumber() throws(JSONFault) {
    if peek == UInt8(ascii: "-") { position += 1 }
    if peek == UInt8(ascii: "0") { position += 1 } else { try skipDigits() }
    if peek == UInt8(ascii: ".") {
      position += 1
      try skipDigits()
    }
    if peek == UInt8(ascii: "e") || peek == UInt8(ascii: "E") {
      position += 1
      if peek == UInt8(ascii: "+") || peek == UInt8(ascii: "-") { position += 1 }
      try skipDigits()
    }
  }

  private mutating func skipDigits() throws(JSONFault) {
    guard let first = peek, isDigit(first) else { throw fault("a digit expected") }
    while let byte = peek, isDigit(byte) { position += 1 }
  }

  private mutating func skipString() throws(JSONFault) {
    try expect(UInt8(ascii: "\""), "a string")
    while let byte = peek {
      switch byte {
      case UInt8(ascii: "\""):
        position += 1
        return
      case UInt8(ascii: "\\"): try skipEscape()
      case 0..<0x20: throw fault("a control character in a string must be escaped")
      default: position += 1
      }
    }
    throw fault("a string without its closing quote")
  }

  private mutating func skipEscape() throws(JSONFault) {
    position += 1
    guard let kind = peek else { throw fault("a string without its closing quote") }
    guard kind == UInt8(ascii: "u") else {
      guard "\"\\/bfnrt".utf8.contains(kind) else { throw fault("an unknown escape") }
      position += 1
      return
    }
    let unit = try hexUnit()
    if (0xDC00...0xDFFF).contains(unit) { throw fault("a lone surrogate") }
    if (0xD800...0xDBFF).contains(unit) {
      guard peek == UInt8(ascii: "\\"), position + 1 < end, bytes[position + 1] == UInt8(ascii: "u") else {
        throw fault("a lone surrogate")
      }
      position += 1
      guard (0xDC00...0xDFFF).contains(try hexUnit()) else { throw fault("a lone surrogate") }
    }
  }

  /// Reads `uXXXX`, standing at the `u`.
  private mutating func hexUnit() throws(JSONFault) -> UInt16 {
    position += 1
    guard end - position >= 4 else { throw fault("four hexadecimal digits expected") }
    var unit: UInt16 = 0
    for _ in 0..<4 {
      guard let digit = hexDigitValue(bytes[position]) else { throw fault("four hexadecimal digits expected") }
      unit = unit << 4 | UInt16(digit)
      position += 1
    }
    return unit
  }
}

private func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

func hexDigitValue(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
  default: nil
  }
}
