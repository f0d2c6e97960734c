// Strict UTF-8, one sequence at a time: no overlong forms, no surrogates, nothing above U+10FFFF.
//
// Source: The Unicode Standard, table 3-7 (well-formed UTF-8 byte sequences).

/// The rules of one UTF-8 sequence.
enum UTF8Sequence {
  /// The length of the multi-byte sequence at `bytes`, 2 to 4; 0 when it is not well formed or runs into `end`.
  ///
  /// - Precondition: `bytes < end`.
  @inline(__always)
  static func length(at bytes: UnsafePointer<UInt8>, before end: UnsafePointer<UInt8>) -> Int {
    let left = end - bytes
    let lead = bytes[0]
    if lead < 0xE0 {
      return lead >= 0xC2 && left >= 2 && isContinuation(bytes[1]) ? 2 : 0
    }
    if lead < 0xF0 {
      guard left >= 3, isContinuation(bytes[1]), isContinuation(bytes[2]) else { return 0 }
      if lead == 0xE0 { return bytes[1] >= 0xA0 ? 3 : 0 }
      return lead == 0xED && bytes[1] >= 0xA0 ? 0 : 3
    }
    guard lead <= 0xF4, left >= 4 else { return 0 }
    guard isContinuation(bytes[1]), isContinuation(bytes[2]), isContinuation(bytes[3]) else { return 0 }
    if lead == 0xF0 { return bytes[1] >= 0x90 ? 4 : 0 }
    return lead == 0xF4 && bytes[1] >= 0x90 ? 0 : 4
  }

  @inline(__always) private static func isContinuation(_ byte: UInt8) -> Bool { byte & 0xC0 == 0x80 }
}

/// Whether bytes are well-formed UTF-8. O(length), eight bytes at a time where they are ASCII.
public func isValidUTF8(_ bytes: UnsafeRawBufferPointer) -> Bool {
  guard let base = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) else { return true }
  var place = base
  let end = base + bytes.count
  while place < end {
    if end - place >= 8, ByteWords.load(place) & ByteWords.tops == 0 {
      place += 8
    } else if place[0] < 0x80 {
      place += 1
    } else {
      let length = UTF8Sequence.length(at: place, before: end)
      guard length > 0 else { return false }
      place += length
    }
  }
  return true
}
