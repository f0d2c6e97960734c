// Big-endian numbers and runs of bytes, one after another, out of bytes from outside.
//
// Holds: nothing outside the bytes is read. What does not fit is remembered, and everything after it reads as zero or
// empty, so that a layout is read without a check at each field and judged once by `isBroken`.

import Glibc

/// A walk through bytes.
struct ByteReader {
  private let bytes: UnsafeRawBufferPointer
  private var place = 0
  /// Whether something did not fit.
  private(set) var isBroken = false

  init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

  /// Bytes that have not been read.
  var left: Int { bytes.count - place }

  mutating func number<Number: FixedWidthInteger>(_ type: Number.Type = Number.self) -> Number {
    guard let run = take(MemoryLayout<Number>.size).baseAddress else { return 0 }
    return Number(bigEndian: run.loadUnaligned(as: Number.self))
  }

  /// The next `count` bytes, a number that may come from outside too.
  mutating func take<Count: BinaryInteger>(_ count: Count) -> UnsafeRawBufferPointer {
    guard !isBroken, let count = Int(exactly: count), count >= 0, count <= left else {
      isBroken = true
      return UnsafeRawBufferPointer(start: nil, count: 0)
    }
    defer { place += count }
    return UnsafeRawBufferPointer(rebasing: bytes[place..<place + count])
  }
}

extension UnsafeRawBufferPointer {
  /// An integer in decimal: digits, perhaps behind a minus; nil for anything else and for what `Number` cannot hold.
  func decimal<Number: FixedWidthInteger>(_ type: Number.Type = Number.self) -> Number? {
    let isNegative = first == UInt8(ascii: "-")
    guard count > (isNegative ? 1 : 0) else { return nil }
    var value: Number = 0
    for byte in self[(isNegative ? 1 : 0)...] {
      let digit = byte &- UInt8(ascii: "0")
      guard digit < 10 else { return nil }
      let (tens, tooBig) = value.multipliedReportingOverflow(by: 10)
      let (sum, overflow) =
        isNegative
        ? tens.subtractingReportingOverflow(Number(digit)) : tens.addingReportingOverflow(Number(digit))
      if tooBig || overflow { return nil }
      value = sum
    }
    return value
  }
}
