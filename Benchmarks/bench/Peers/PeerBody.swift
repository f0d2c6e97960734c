// The body of a message of the comparison: 128 bytes that say which it is and when it is due, the same on every wire, so that whoever
// receives it needs to know nothing of the wire to find it.
//
//   due:1795253803024;00000017;xxxxx…

import Glibc
import Platform
import Primitives

enum PeerBody {
  static let bytes = 128
  private static let start: StaticString = "due:"
  private static let filler = [UInt8](repeating: UInt8(ascii: "x"), count: bytes - 27)

  /// The wall clock in ms, rounded up: a delay from then on is never shorter than asked for.
  static func nowMs() -> Int64 { (SystemClock.wallNs() + 999_999) / 1_000_000 }

  static func append(_ number: Int, dueMs: Int64, to out: inout ByteBuffer) {
    out.append(start)
    out.appendPadded(dueMs, digits: 13)
    out.append(byte: UInt8(ascii: ";"))
    out.appendPadded(Int64(number), digits: 8)
    out.append(byte: UInt8(ascii: ";"))
    filler.withUnsafeBytes { out.append($0) }
  }

  /// Finds the bodies in `bytes`.
  static func scan(_ bytes: UnsafeRawBufferPointer, _ use: (_ number: Int, _ dueMs: Int64) -> Void) {
    guard var place = bytes.baseAddress else { return }
    let end = place + bytes.count
    while let found = memchr(place, Int32(start.utf8Start[0]), end - place), end - UnsafeRawPointer(found) >= Self.bytes
    {
      place = UnsafeRawPointer(found) + 1
      guard memcmp(found, start.utf8Start, 4) == 0 else { continue }
      let body = UnsafeRawBufferPointer(start: found, count: Self.bytes)
      use(Int(number(body, 18, 8)), number(body, 4, 13))
      place = UnsafeRawPointer(found) + Self.bytes
    }
  }

  private static func number(_ body: UnsafeRawBufferPointer, _ from: Int, _ digits: Int) -> Int64 {
    body[from..<from + digits].reduce(0) { $0 * 10 + Int64($1 & 15) }
  }
}

extension ByteBuffer {
  /// A number of exactly so many digits.
  mutating func appendPadded(_ number: Int64, digits: Int) {
    var power: Int64 = 1
    for _ in 1..<digits { power *= 10 }
    while power > 0 {
      append(byte: UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / power % 10))
      power /= 10
    }
  }
}
