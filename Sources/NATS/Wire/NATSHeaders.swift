// The headers of a message: `NATS/1.0[ code[ text]]`, then `Key: value` by line, then an empty line.
//
// Holds: a block that does not begin and end as it must is refused when it comes. Lines inside that are no headers are passed
// over. Names are compared as they are written: servers write them in one way.
// Leaves to others: which headers there are.

/// A block of headers, as it came.
public struct NATSHeaders {
  private static let version: StaticString = "NATS/1.0"

  /// All of it; empty for none.
  let block: UnsafeRawBufferPointer

  /// No headers.
  static var none: NATSHeaders { NATSHeaders(UnsafeRawBufferPointer(start: nil, count: 0)) }

  private init(_ block: UnsafeRawBufferPointer) { self.block = block }

  init(block: UnsafeRawBufferPointer) throws(NATSProtocolError) {
    guard block.count >= Self.version.utf8CodeUnitCount + 4, block.starts(with: Self.version.bytes),
      block.suffix(4).elementsEqual("\r\n\r\n".utf8)
    else { throw NATSProtocolError("headers that do not begin with 'NATS/1.0' or do not end with an empty line") }
    self.init(block)
  }

  /// The status that a server answers with instead of a message: 503 nobody is there, 404 not found, 204 the end, 408 a bad
  /// request; 0 for none.
  public var status: Int {
    let start = Self.version.utf8CodeUnitCount
    guard block.count >= start + 4, block[start] == UInt8(ascii: " ") else { return 0 }
    var status = 0
    for byte in block[(start + 1)..<(start + 4)] {
      guard byte &- UInt8(ascii: "0") < 10 else { return 0 }
      status = status * 10 + Int(byte - UInt8(ascii: "0"))
    }
    return status
  }

  /// The value of a header without the white space around it; nil when there is none of that name. O(block).
  public func value(of name: StaticString) -> UnsafeRawBufferPointer? {
    var rest = block[...]
    while let lineEnd = rest.firstIndex(of: UInt8(ascii: "\r")) {
      let line = rest[..<lineEnd]
      rest = rest[(lineEnd + 1)...]
      if rest.first == UInt8(ascii: "\n") { rest = rest.dropFirst() }
      let nameCount = name.utf8CodeUnitCount
      guard line.count > nameCount, line.starts(with: name.bytes),
        line[line.startIndex + nameCount] == UInt8(ascii: ":")
      else { continue }
      var value = line.dropFirst(nameCount + 1)
      while value.first == UInt8(ascii: " ") { value = value.dropFirst() }
      while value.last == UInt8(ascii: " ") { value = value.dropLast() }
      return UnsafeRawBufferPointer(rebasing: value)
    }
    return nil
  }

  /// The value of a header that is a whole number; nil for anything else.
  public func number(_ name: StaticString) -> UInt64? { value(of: name).flatMap(Decimal.number) }
}

extension StaticString {
  var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: utf8Start, count: utf8CodeUnitCount) }
}

/// Whole numbers as a server writes them.
enum Decimal {
  /// A number of digits alone that fits into 64 bits.
  static func number(_ text: UnsafeRawBufferPointer) -> UInt64? {
    guard !text.isEmpty, text.count <= 20 else { return nil }
    var value: UInt64 = 0
    for byte in text {
      let digit = byte &- UInt8(ascii: "0")
      guard digit < 10 else { return nil }
      let (tens, tooLarge) = value.multipliedReportingOverflow(by: 10)
      let (sum, overflows) = tens.addingReportingOverflow(UInt64(digit))
      if tooLarge || overflows { return nil }
      value = sum
    }
    return value
  }
}
