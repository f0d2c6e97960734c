// Writing JSON into a buffer: integers, strings, and the frame of a reply.
//
// Holds: what is written is one line without line breaks inside, if the raw values put in are.
// Leaves to others: the order of fields, commas between them (they stand in the literals), which fields a reply has.

import Glibc
import Primitives

extension ByteBuffer {
  /// Appends an integer in decimal.
  public mutating func appendInteger(_ value: Int64) {
    if value < 0 { append(byte: UInt8(ascii: "-")) }
    appendInteger(value.magnitude)
  }

  /// Appends an integer in decimal.
  public mutating func appendInteger(_ value: UInt64) {
    let room = writable(20)
    // Two digits a division, from the back, into the longest place they can need.
    var rest = value
    var digits: (UInt64, UInt64, UInt64) = (0, 0, 0)
    let written = withUnsafeMutableBytes(of: &digits) { scratch in
      let pairs = UnsafeRawPointer(Self.digitPairs.utf8Start)
      var first = scratch.count
      while rest >= 100 {
        let (quotient, pair) = rest.quotientAndRemainder(dividingBy: 100)
        first -= 2
        scratch.storeBytes(
          of: pairs.loadUnaligned(fromByteOffset: Int(pair) * 2, as: UInt16.self), toByteOffset: first, as: UInt16.self)
        rest = quotient
      }
      if rest >= 10 {
        first -= 2
        scratch.storeBytes(
          of: pairs.loadUnaligned(fromByteOffset: Int(rest) * 2, as: UInt16.self), toByteOffset: first, as: UInt16.self)
      } else {
        first -= 1
        scratch[first] = UInt8(ascii: "0") + UInt8(rest)
      }
      memcpy(room.baseAddress!, scratch.baseAddress! + first, scratch.count - first)
      return scratch.count - first
    }
    commit(written)
  }

  private static var digitPairs: StaticString {
    """
    00010203040506070809101112131415161718192021222324252627282930313233343536373839404142434445464748495051525354555657\
    585960616263646566676869707172737475767778798081828384858687888990919293949596979899
    """
  }

  /// Appends an integer in decimal, padded with zeroes to `width` digits.
  ///
  /// - Precondition: it has no more digits than that, and `width` is at most 19.
  mutating func appendDigits(_ value: Int, width: Int) {
    let room = writable(width)
    var rest = value
    for place in stride(from: width - 1, through: 0, by: -1) {
      room[place] = UInt8(ascii: "0") + UInt8(rest % 10)
      rest /= 10
    }
    precondition(rest == 0, "a padded number fits its width")
    commit(width)
  }

  /// Appends `true` or `false`.
  public mutating func appendBoolean(_ value: Bool) {
    if value { append("true") } else { append("false") }
  }

  /// Appends decoded bytes as a JSON string with its quotes; a plain copy up to where something must be escaped.
  ///
  /// - Parameter bytes: valid UTF-8, as a reader or a `String` gives it; it is not checked again.
  public mutating func appendJSONString(_ bytes: UnsafeRawBufferPointer) {
    reserve(bytes.count + 2)
    append(byte: UInt8(ascii: "\""))
    if let start = bytes.baseAddress?.assumingMemoryBound(to: UInt8.self) {
      var place = start
      let end = start + bytes.count
      while place < end {
        let stop = Self.plainEnd(place, end)
        append(UnsafeRawBufferPointer(start: place, count: stop - place))
        guard stop < end else { break }
        appendEscape(stop[0])
        place = stop + 1
      }
    }
    append(byte: UInt8(ascii: "\""))
  }

  /// Appends a string as a JSON string with its quotes.
  public mutating func appendJSONString(_ text: String) {
    var text = text
    text.withUTF8 { appendJSONString(UnsafeRawBufferPointer($0)) }
  }

  private static func plainEnd(_ start: Place, _ end: Place) -> Place {
    var place = start
    while end - place >= 8 {
      let marks = ByteWords.needingEscape(in: ByteWords.load(place))
      if marks != 0 { return place + ByteWords.first(marks) }
      place += 8
    }
    while place < end, place[0] >= 0x20, place[0] != UInt8(ascii: "\""), place[0] != UInt8(ascii: "\\") { place += 1 }
    return place
  }

  private mutating func appendEscape(_ byte: UInt8) {
    switch byte {
    case UInt8(ascii: "\""): append("\\\"")
    case UInt8(ascii: "\\"): append("\\\\")
    case 0x08: append("\\b")
    case 0x09: append("\\t")
    case 0x0A: append("\\n")
    case 0x0C: append("\\f")
    case 0x0D: append("\\r")
    default:
      append("\\u00")
      let digits: StaticString = "0123456789abcdef"
      append(byte: digits.utf8Start[Int(byte >> 4)])
      append(byte: digits.utf8Start[Int(byte & 15)])
    }
  }

  /// Begins a reply, `{"ok":true` with the request's `rid` if it has one; fields follow as `,"name":value`, then
  /// `endLine`.
  public mutating func beginReply(rid: UnsafeRawBufferPointer?) {
    append("{\"ok\":true")
    appendRid(rid)
  }

  /// Begins the reply to a refused request: code and message; fields may follow, then `endLine`.
  public mutating func beginRefusal(_ refusal: Refusal, rid: UnsafeRawBufferPointer?) {
    append("{\"ok\":false")
    appendRid(rid)
    append(",\"error\":\"")
    append(text: refusal.code.rawValue)
    append("\",\"message\":")
    appendJSONString(refusal.message)
    if let replyCode = refusal.replyCode {
      append(",\"replyCode\":")
      appendInteger(Int64(replyCode))
    }
  }

  /// Writes the whole reply to a refused request.
  public mutating func appendRefusal(_ refusal: Refusal, rid: UnsafeRawBufferPointer?) {
    beginRefusal(refusal, rid: rid)
    endLine()
  }

  /// Ends the object and the line.
  @inlinable public mutating func endLine() { append("}\n") }

  private mutating func appendRid(_ rid: UnsafeRawBufferPointer?) {
    guard let rid else { return }
    append(",\"rid\":")
    append(rid)
  }
}
