// From the text of a JSON number to an integer of 64 bits.

/// What a valid JSON number is as an integer.
enum JSONInteger: Equatable {
  case value(Int64)
  case outOfRange
  case notAnInteger

  /// Reads a number that has passed the scanner. Only digits make an integer: `1.0` and `1e3` are not.
  static func value(of text: UnsafeRawBufferPointer) -> JSONInteger {
    let digits = text.first == UInt8(ascii: "-") ? UnsafeRawBufferPointer(rebasing: text[1...]) : text
    let isNegative = digits.count < text.count
    var magnitude: UInt64 = 0
    // 19 digits always fit into an unsigned word; there are no leading zeroes.
    for index in 0..<digits.count {
      let digit = digits[index] &- UInt8(ascii: "0")
      guard digit < 10 else { return .notAnInteger }
      if index < 19 { magnitude = magnitude &* 10 &+ UInt64(digit) }
    }
    if digits.count > 19 { return .outOfRange }
    if isNegative {
      return magnitude <= Int64.min.magnitude ? .value(Int64(truncatingIfNeeded: 0 &- magnitude)) : .outOfRange
    }
    return magnitude <= Int64.max.magnitude ? .value(Int64(truncatingIfNeeded: magnitude)) : .outOfRange
  }
}
