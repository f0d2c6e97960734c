// The string part of the scanner: eight plain bytes at a time, escapes and UTF-8 checked where they occur.

extension JSONScanner {
  /// A string from the byte after its opening quote; gives the place behind the closing quote, and whether an escape
  /// was seen.
  @inline(__always) mutating func scanString(_ start: Place) -> (end: Place?, escaped: Bool) {
    let place = Self.skipPlain(start, end)
    if place < end, place[0] == UInt8(ascii: "\"") { return (place + 1, false) }
    return scanSpecial(place)
  }

  // From the first byte that is not plain ASCII to the end of the string.
  @inline(never) private mutating func scanSpecial(_ start: Place) -> (end: Place?, escaped: Bool) {
    var place = start
    var escaped = false
    while true {
      guard place < end else { return (fail(.ends, at: place), escaped) }
      let byte = place[0]
      if byte >= 0x80 {
        // Text that is not ASCII mostly stays so: no word scan between two such characters.
        let length = UTF8Sequence.length(at: place, before: end)
        guard length > 0 else { return (fail(.utf8, at: place), escaped) }
        place += length
        if place < end, place[0] >= 0x80 { continue }
      } else if byte == UInt8(ascii: "\"") {
        return (place + 1, escaped)
      } else if byte == UInt8(ascii: "\\") {
        guard let next = scanEscape(place) else { return (nil, true) }
        place = next
        escaped = true
      } else {
        return (fail(.control, at: place), escaped)
      }
      place = Self.skipPlain(place, end)
    }
  }

  /// The first byte from `start` on that is not plain ASCII text, or `end`.
  @inline(__always) private static func skipPlain(_ start: Place, _ end: Place) -> Place {
    var place = start
    while end - place >= 8 {
      let marks = ByteWords.needingLook(in: ByteWords.load(place))
      if marks != 0 { return place + ByteWords.first(marks) }
      place += 8
    }
    while place < end {
      let byte = place[0]
      if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "\\") || byte < 0x20 || byte >= 0x80 { return place }
      place += 1
    }
    return place
  }

  private mutating func scanEscape(_ backslash: Place) -> Place? {
    guard end - backslash >= 2 else { return fail(.ends, at: end) }
    switch backslash[1] {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"), UInt8(ascii: "b"), UInt8(ascii: "f"),
      UInt8(ascii: "n"), UInt8(ascii: "r"), UInt8(ascii: "t"):
      return backslash + 2
    case UInt8(ascii: "u"):
      guard let unit = Self.hexUnit(backslash, end) else { return fail(.escape, at: backslash) }
      if unit & 0xF800 != 0xD800 { return backslash + 6 }
      // A high half, and right behind it the low one.
      guard unit < 0xDC00, let low = Self.hexUnit(backslash + 6, end), low & 0xFC00 == 0xDC00 else {
        return fail(.surrogate, at: backslash)
      }
      return backslash + 12
    default:
      return fail(.escape, at: backslash)
    }
  }

  // The number of a `\uXXXX` at `place`, if that is what stands there.
  private static func hexUnit(_ place: Place, _ end: Place) -> UInt32? {
    guard end - place >= 6, place[0] == UInt8(ascii: "\\"), place[1] == UInt8(ascii: "u") else { return nil }
    return JSONEscapes.hexUnit(place + 2)
  }
}
