// A name or key of AMQP: bytes that are compared as bytes. Swift's strings hold `é` and `e` with an accent behind it for
// equal, which no routing key may.

/// UTF-8 text compared byte by byte.
public struct Text: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
  /// The bytes.
  public let bytes: [UInt8]

  /// The text of these bytes.
  public init(_ bytes: some Sequence<UInt8>) { self.bytes = Array(bytes) }
  /// The text of a string.
  public init(_ string: String) { bytes = Array(string.utf8) }
  /// A text known at compile time.
  public init(stringLiteral string: String) { self.init(string) }

  /// As a string.
  public var description: String { String(decoding: bytes, as: UTF8.self) }
  /// Whether nothing is in it.
  public var isEmpty: Bool { bytes.isEmpty }

  func hasPrefix(_ prefix: StaticString) -> Bool {
    let count = prefix.utf8CodeUnitCount
    return bytes.count >= count
      && bytes[..<count].elementsEqual(UnsafeBufferPointer(start: prefix.utf8Start, count: count))
  }
}
