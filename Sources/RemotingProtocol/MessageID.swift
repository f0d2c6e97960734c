// The id of a message made of where it is stored: the host's address and port and the physical offset, as 32 upper-case hex
// digits.
//
//   0 4 bytes IPv4 address   4 i32 port   8 i64 physical offset
//
// Leaves to others: hosts with IPv6 addresses, which 4.x clients cannot read in a message; they are shown as 0.0.0.0.

import Primitives

/// An IPv4 address and a port.
public struct RemotingHost: Equatable, Sendable {
  /// The address, its first number in the top byte.
  public var address: UInt32
  /// The port.
  public var port: Int32

  /// Puts the two together.
  public init(address: UInt32, port: Int32) {
    self.address = address
    self.port = port
  }
}

/// Host and physical offset of a message.
public struct MessageID: Equatable, Sendable {
  /// Digits of the text.
  public static let digits = 32

  /// The broker that stores it.
  public var host: RemotingHost
  /// Where it is stored there.
  public var physicalOffset: Int64

  /// Puts the two together.
  public init(host: RemotingHost, physicalOffset: Int64) {
    self.host = host
    self.physicalOffset = physicalOffset
  }

  /// Reads the text; nil for anything but 32 hex digits.
  public init?(_ text: UnsafeRawBufferPointer) {
    guard text.count == Self.digits else { return nil }
    guard let high = Self.number(text[..<16]), let low = Self.number(text[16...]) else { return nil }
    host = RemotingHost(
      address: UInt32(truncatingIfNeeded: high >> 32), port: Int32(truncatingIfNeeded: high))
    physicalOffset = Int64(bitPattern: low)
  }

  private static func number(_ digits: Slice<UnsafeRawBufferPointer>) -> UInt64? {
    var number: UInt64 = 0
    for digit in digits {
      switch digit {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): number = number << 4 | UInt64(digit - UInt8(ascii: "0"))
      case UInt8(ascii: "A")...UInt8(ascii: "F"): number = number << 4 | UInt64(digit - UInt8(ascii: "A") + 10)
      case UInt8(ascii: "a")...UInt8(ascii: "f"): number = number << 4 | UInt64(digit - UInt8(ascii: "a") + 10)
      default: return nil
      }
    }
    return number
  }

  /// The text.
  public var text: String {
    let digits: StaticString = "0123456789ABCDEF"
    let high = UInt64(host.address) << 32 | UInt64(UInt32(bitPattern: host.port))
    let low = UInt64(bitPattern: physicalOffset)
    return String(unsafeUninitializedCapacity: Self.digits) { text in
      for place in 0..<16 {
        let shift = UInt64(60 - place * 4)
        text[place] = digits.utf8Start[Int(high >> shift & 15)]
        text[16 + place] = digits.utf8Start[Int(low >> shift & 15)]
      }
      return Self.digits
    }
  }
}
