// The token of a reply: where its `rid` stands in the output.
//
// Holds: the position of the `rid`'s first byte in the upper 54 bits, its length in the lower 10; length 0 when the request
// had none. A `rid` has at most 128 characters, each of up to six bytes, and two quotes: 770 bytes.

struct ReplyToken {
  private static let lengthBits: UInt64 = 10

  let bits: UInt64

  init(_ bits: UInt64) { self.bits = bits }

  @inline(__always) init(at position: Int, length: Int) {
    precondition(UInt64(length) >> Self.lengthBits == 0, "the length of a rid fits into a reply's token")
    bits = UInt64(position) << Self.lengthBits | UInt64(length)
  }

  /// Where the `rid` stands in output that begins at `start`; nil when there is none.
  func rid(from start: Int) -> Range<Int>? {
    let length = Int(bits & (1 << Self.lengthBits - 1))
    let first = Int(bits >> Self.lengthBits) - start
    return length == 0 ? nil : first..<first + length
  }
}
