// Base64 in requests and replies: RFC 4648, the standard alphabet, padding required.
//
// Holds: one text for each run of bytes: what `decode` takes, `appendBase64` writes again to the letter. Line breaks, other
// characters, missing padding and bits behind the last byte are refused.
// Leaves to others: JSON strings around it.

import Primitives

/// Decoding of Base64.
public enum Base64 {
  private static let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
  private static let invalid: UInt8 = 0xFF
  private static let pad = UInt8(ascii: "=")

  // The value of each character; 255 for one that is not in the alphabet.
  private static let values: [UInt8] = {
    var values = [UInt8](repeating: invalid, count: 256)
    for place in 0..<64 { values[Int(alphabet.utf8Start[place])] = UInt8(place) }
    return values
  }()

  /// How many bytes a text of so many characters stands for at most.
  static func decodedBytesMax(_ count: Int) -> Int { count / 4 * 3 }

  /// Writes the bytes that `text` stands for to `output`; gives their number, or nil for a text that is not Base64. O(length).
  ///
  /// - Parameter output: room for `decodedBytesMax(text.count)` bytes.
  static func decode(_ text: UnsafeRawBufferPointer, to output: UnsafeMutablePointer<UInt8>) -> Int? {
    guard text.count % 4 == 0 else { return nil }
    guard text.count > 0 else { return 0 }
    let padding = text[text.count - 1] != pad ? 0 : text[text.count - 2] != pad ? 1 : 2
    let whole = padding == 0 ? text.count : text.count - 4
    var written = 0
    let isGood = values.withUnsafeBufferPointer { values in
      for place in stride(from: 0, to: whole, by: 4) {
        let (a, b) = (values[Int(text[place])], values[Int(text[place + 1])])
        let (c, d) = (values[Int(text[place + 2])], values[Int(text[place + 3])])
        if a | b | c | d > 63 { return false }
        output[written] = a << 2 | b >> 4
        output[written + 1] = b << 4 | c >> 2
        output[written + 2] = c << 6 | d
        written += 3
      }
      if padding == 0 { return true }
      let (a, b) = (values[Int(text[whole])], values[Int(text[whole + 1])])
      let c = padding == 1 ? values[Int(text[whole + 2])] : 0
      // Bits behind the last byte must be zero, or one run of bytes would have several texts.
      if a | b | c > 63 || (padding == 1 ? c & 3 : b & 15) != 0 { return false }
      output[written] = a << 2 | b >> 4
      if padding == 1 { output[written + 1] = b << 4 | c >> 2 }
      written += 3 - padding
      return true
    }
    return isGood ? written : nil
  }

  /// The bytes that `text` stands for; nil for a text that is not Base64. O(length).
  public static func decoded(_ text: UnsafeRawBufferPointer) -> [UInt8]? {
    var isGood = false
    let bytes = [UInt8](unsafeUninitializedCapacity: max(1, decodedBytesMax(text.count))) { output, count in
      let decoded = decode(text, to: output.baseAddress!)
      isGood = decoded != nil
      count = decoded ?? 0
    }
    return isGood ? bytes : nil
  }

  static func character(_ value: UInt8) -> UInt8 { alphabet.utf8Start[Int(value & 63)] }
}

extension ByteBuffer {
  /// Appends bytes as Base64, padded, without quotes. O(bytes).
  public mutating func appendBase64(_ bytes: UnsafeRawBufferPointer) {
    let length = (bytes.count + 2) / 3 * 4
    let room = writable(max(length, 1))
    var place = 0
    for start in stride(from: 0, to: bytes.count, by: 3) {
      let count = min(3, bytes.count - start)
      let (a, b, c) = (bytes[start], count > 1 ? bytes[start + 1] : 0, count > 2 ? bytes[start + 2] : 0)
      room[place] = Base64.character(a >> 2)
      room[place + 1] = Base64.character(a << 4 | b >> 4)
      room[place + 2] = count > 1 ? Base64.character(b << 2 | c >> 6) : UInt8(ascii: "=")
      room[place + 3] = count > 2 ? Base64.character(c) : UInt8(ascii: "=")
      place += 4
    }
    commit(length)
  }
}
