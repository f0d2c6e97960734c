// The lines of a head, or of the trailer behind a chunked body, taken byte by byte.
//
// Holds: a line ends with a carriage return and a line feed and in no other way; there is no control character in it; all
// lines together have no more than `bytesMax` bytes.
// Leaves to others: what the lines mean (`HTTPHead`).

import Primitives

struct HeadLines: ~Copyable {
  private(set) var text = ByteBuffer()
  /// Where each line stands in `text`, which has no line breaks in it.
  private(set) var lines: [Range<Int>] = []
  private let bytesMax: Int
  private let skipsFirstEmptyLine: Bool
  private var bytes = 0
  private var lineStart = 0
  private var isAfterCarriageReturn = false
  private var hasSkipped = false

  /// - Parameter skipsFirstEmptyLine: one empty line in front is passed over; old clients send it behind a body.
  init(bytesMax: Int, skipsFirstEmptyLine: Bool) {
    self.bytesMax = bytesMax
    self.skipsFirstEmptyLine = skipsFirstEmptyLine
  }

  /// Whether nothing has been taken yet.
  var isEmpty: Bool { bytes == 0 }

  /// Takes bytes up to the empty line; gives how many, and whether the empty line was among them.
  mutating func take(_ input: UnsafeRawBufferPointer) throws(HTTPError) -> (count: Int, isComplete: Bool) {
    for place in 0..<input.count {
      bytes += 1
      guard bytes <= bytesMax else { throw lines.isEmpty ? .targetTooLong : .headTooLarge }
      if try take(input[place]) { return (place + 1, true) }
    }
    return (input.count, false)
  }

  /// Whether the empty line has come to its end.
  private mutating func take(_ byte: UInt8) throws(HTTPError) -> Bool {
    if isAfterCarriageReturn {
      guard byte == 0x0A else { throw .bareCarriageReturn }
      isAfterCarriageReturn = false
      return endLine()
    }
    switch byte {
    case 0x0D: isAfterCarriageReturn = true
    case 0x0A: throw .bareLineFeed
    case _ where byte.isControl: throw .controlCharacter
    default: text.append(byte: byte)
    }
    return false
  }

  private mutating func endLine() -> Bool {
    if text.count == lineStart {
      if lines.isEmpty, skipsFirstEmptyLine, !hasSkipped {
        hasSkipped = true
        return false
      }
      return true
    }
    lines.append(lineStart..<text.count)
    lineStart = text.count
    return false
  }

  /// Starts again; keeps the memory.
  mutating func removeAll() {
    text.removeAll()
    lines.removeAll(keepingCapacity: true)
    (bytes, lineStart, isAfterCarriageReturn, hasSkipped) = (0, 0, false, false)
  }
}
