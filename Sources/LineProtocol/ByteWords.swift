// Eight bytes at a time: finding the bytes of a JSON string that need a look.
//
// Holds: the top bit of the first byte looked for is set. Bits above it may be wrong, since a borrow runs upwards, so only
// the lowest set bit may be used.
// Source: Mycroft's zero-byte test.

/// Tests on eight bytes in one word.
enum ByteWords {
  static let ones: UInt64 = 0x0101_0101_0101_0101
  static let tops: UInt64 = 0x8080_8080_8080_8080

  /// The eight bytes at `bytes`, the first one lowest.
  @inline(__always) static func load(_ bytes: UnsafePointer<UInt8>) -> UInt64 {
    UInt64(littleEndian: UnsafeRawPointer(bytes).loadUnaligned(as: UInt64.self))
  }

  /// Marks a quote or a backslash.
  @inline(__always) static func quotesAndBackslashes(in word: UInt64) -> UInt64 {
    let quote = word ^ (ones &* 0x22)
    let backslash = word ^ (ones &* 0x5C)
    return ((quote &- ones) & ~quote | (backslash &- ones) & ~backslash) & tops
  }

  /// Marks what must be escaped in a JSON string: a quote, a backslash, a byte below 0x20.
  @inline(__always) static func needingEscape(in word: UInt64) -> UInt64 {
    quotesAndBackslashes(in: word) | (word &- (ones &* 0x20)) & ~word & tops
  }

  /// Marks what a validating scan must look at: what needs an escape, and every byte above 0x7F. Since those are marked
  /// anyway, the top bit of the difference alone tells a byte below 0x20 from others.
  @inline(__always) static func needingLook(in word: UInt64) -> UInt64 {
    let quote = (word ^ (ones &* 0x22)) &- ones
    let backslash = (word ^ (ones &* 0x5C)) &- ones
    return (word | quote | backslash | (word &- (ones &* 0x20))) & tops
  }

  /// The place of the first marked byte, 0 to 7.
  @inline(__always) static func first(_ marks: UInt64) -> Int { marks.trailingZeroBitCount >> 3 }
}
