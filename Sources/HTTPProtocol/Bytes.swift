// The character classes of HTTP, and comparisons that do not tell capitals from small letters.
//
// Source: RFC 9110 section 5.6.2 (token).

extension UInt8 {
  /// Whether it may stand in a method or in the name of a field.
  var isTokenByte: Bool {
    switch self {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    case UInt8(ascii: "!"), UInt8(ascii: "#"), UInt8(ascii: "$"), UInt8(ascii: "%"), UInt8(ascii: "&"),
      UInt8(ascii: "'"), UInt8(ascii: "*"), UInt8(ascii: "+"), UInt8(ascii: "-"), UInt8(ascii: "."),
      UInt8(ascii: "^"), UInt8(ascii: "_"), UInt8(ascii: "`"), UInt8(ascii: "|"), UInt8(ascii: "~"):
      true
    default: false
    }
  }

  /// A control character other than the tabulator.
  var isControl: Bool { (self < 0x20 && self != 0x09) || self == 0x7F }

  var isBlank: Bool { self == 0x20 || self == 0x09 }

  var isDigit: Bool { self &- UInt8(ascii: "0") < 10 }

  var lowercased: UInt8 { self &- UInt8(ascii: "A") < 26 ? self | 0x20 : self }
}

extension UnsafeRawBufferPointer {
  /// Some of the bytes.
  func part(_ range: Range<Int>) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self[range]) }

  /// Whether it is this word, capitals and small letters taken as the same.
  func isWord(_ word: StaticString) -> Bool {
    guard count == word.utf8CodeUnitCount else { return false }
    for place in 0..<count where self[place].lowercased != word.utf8Start[place].lowercased { return false }
    return true
  }

  /// Whether both are the same, capitals and small letters taken as the same.
  func isSameWord(as other: UnsafeRawBufferPointer) -> Bool {
    count == other.count && zip(self, other).allSatisfy { $0.lowercased == $1.lowercased }
  }

  /// Without blanks at both ends.
  var trimmed: UnsafeRawBufferPointer {
    var start = 0
    var end = count
    while start < end, self[start].isBlank { start += 1 }
    while end > start, self[end - 1].isBlank { end -= 1 }
    return part(start..<end)
  }

  /// The elements of a list separated by commas, without the blanks around them; empty ones are left out.
  var listElements: [UnsafeRawBufferPointer] {
    self.split(separator: UInt8(ascii: ",")).map { UnsafeRawBufferPointer(rebasing: $0).trimmed }.filter { !$0.isEmpty }
  }
}
