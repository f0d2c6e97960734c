// From the text of a JSON string to its bytes.
//
// Leaves to others: validation; the text has passed the scanner.

import Glibc
import Primitives

extension ByteBuffer {
  /// Appends the bytes that the inside of a validated JSON string stands for. O(length).
  public mutating func append(unescaping text: UnsafeRawBufferPointer) {
    guard let start = text.baseAddress, text.count > 0 else { return }
    let room = writable(text.count).baseAddress!.assumingMemoryBound(to: UInt8.self)
    commit(JSONEscapes.decode(start.assumingMemoryBound(to: UInt8.self), text.count, to: room))
  }
}

/// Decoding of escapes.
enum JSONEscapes {
  /// The bytes that a validated string stands for, in the arena. Never longer than the text. O(length).
  static func decode(_ text: KeySpan, into arena: ScratchArena) -> KeySpan {
    let output = arena.take(text.count)
    let written = decode(text.start, text.count, to: output)
    arena.giveBack(text.count - written)
    return KeySpan(start: UnsafePointer(output), count: written)
  }

  /// The same into memory with room for as many bytes; gives how many there are.
  static func decode(_ start: Place, _ count: Int, to output: UnsafeMutablePointer<UInt8>) -> Int {
    var written = 0
    var place = start
    let end = start + count
    while place < end {
      let left = end - place
      let plain = memchr(place, 0x5C, left).map { UnsafeRawPointer($0) - UnsafeRawPointer(place) } ?? left
      memcpy(output + written, place, plain)
      written += plain
      place += plain
      if place < end { place += decodeEscape(place, output, &written) }
    }
    return written
  }

  // One escape; gives the length of its text.
  private static func decodeEscape(_ place: Place, _ output: UnsafeMutablePointer<UInt8>, _ written: inout Int) -> Int {
    let letter = place[1]
    if letter != UInt8(ascii: "u") {
      output[written] = byte(of: letter)
      written += 1
      return 2
    }
    var scalar = hexUnit(place + 2)!
    var length = 6
    if scalar & 0xFC00 == 0xD800 {
      scalar = 0x10000 + (scalar & 0x3FF) << 10 + hexUnit(place + 8)! & 0x3FF
      length = 12
    }
    for unit in UTF8.encode(Unicode.Scalar(scalar)!)! {
      output[written] = unit
      written += 1
    }
    return length
  }

  private static func byte(of letter: UInt8) -> UInt8 {
    switch letter {
    case UInt8(ascii: "b"): 0x08
    case UInt8(ascii: "f"): 0x0C
    case UInt8(ascii: "n"): 0x0A
    case UInt8(ascii: "r"): 0x0D
    case UInt8(ascii: "t"): 0x09
    default: letter
    }
  }

  /// The number that four hexadecimal digits stand for.
  static func hexUnit(_ digits: Place) -> UInt32? {
    var unit: UInt32 = 0
    for index in 0..<4 {
      let byte = digits[index]
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): unit = unit << 4 | UInt32(byte - UInt8(ascii: "0"))
      case UInt8(ascii: "a")...UInt8(ascii: "f"): unit = unit << 4 | UInt32(byte - UInt8(ascii: "a") + 10)
      case UInt8(ascii: "A")...UInt8(ascii: "F"): unit = unit << 4 | UInt32(byte - UInt8(ascii: "A") + 10)
      default: return nil
      }
    }
    return unit
  }
}
