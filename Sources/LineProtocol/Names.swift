// Which names the protocol accepts for topics, groups and messages.

/// Whether bytes are a name for a topic or a group: `[A-Za-z0-9._-]{1,128}`, not `.` or `..`.
public func isValidName(_ bytes: UnsafeRawBufferPointer) -> Bool {
  guard 1...128 ~= bytes.count else { return false }
  var onlyDots = true
  for byte in bytes {
    switch byte {
    case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
      onlyDots = false
    case UInt8(ascii: "."): break
    default: return false
    }
  }
  return !(onlyDots && bytes.count <= 2)
}

/// Whether bytes are an id for a message: 1 to 128 bytes of valid UTF-8 without control characters (U+0000 to U+001F,
/// U+007F to U+009F).
public func isValidMessageID(_ bytes: UnsafeRawBufferPointer) -> Bool {
  guard 1...128 ~= bytes.count, let base = bytes.baseAddress else { return false }
  var place = base.assumingMemoryBound(to: UInt8.self)
  let end = place + bytes.count
  while place < end {
    let byte = place[0]
    if byte < 0x80 {
      guard byte >= 0x20, byte != 0x7F else { return false }
      place += 1
      continue
    }
    let length = UTF8Sequence.length(at: place, before: end)
    // U+0080 to U+009F are C2 80 to C2 9F.
    guard length > 0, !(byte == 0xC2 && place[1] < 0xA0) else { return false }
    place += length
  }
  return true
}
