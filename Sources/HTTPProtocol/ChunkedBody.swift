// A chunked body, taken byte by byte.
//
// Holds: a size is hexadecimal digits and nothing else in front of its line break or extension; every chunk ends with a
// carriage return and a line feed; all chunks together have no more than `bytesMax` bytes. Extensions are passed over, and the
// fields behind the last chunk are checked and dropped: none of them can change what the request says.
// Leaves to others: where the bytes go.
// Source: RFC 9112 section 7.1.

import Primitives

struct ChunkedBody: ~Copyable {
  private enum State {
    case size, sizeLineFeed, extensions, data(left: Int), dataCarriageReturn, dataLineFeed, trailer
  }

  // Digits of a size, blanks and extensions: room for what clients send, none for filling lines with nothing.
  private static let lineBytesMax = 256

  private let bytesMax: Int
  private var state = State.size
  private var size = 0
  private var lineBytes = 0
  private var trailer: HeadLines

  init(bytesMax: Int, trailerBytesMax: Int) {
    self.bytesMax = bytesMax
    trailer = HeadLines(bytesMax: trailerBytesMax, skipsFirstEmptyLine: false)
  }

  mutating func removeAll() {
    (state, size, lineBytes) = (.size, 0, 0)
    trailer.removeAll()
  }

  /// Takes bytes up to the end of the body and appends its content; gives how many, and whether that was the end.
  mutating func take(
    _ input: UnsafeRawBufferPointer, into body: inout ByteBuffer
  ) throws(HTTPError) -> (count: Int, isComplete: Bool) {
    var place = 0
    while place < input.count {
      switch state {
      case .data(let left):
        let count = min(left, input.count - place)
        body.append(input.part(place..<(place + count)))
        place += count
        state = count == left ? .dataCarriageReturn : .data(left: left - count)
      case .trailer:
        let (count, isComplete) = try takeTrailer(input.part(place..<input.count))
        return (place + count, isComplete)
      default:
        try take(input[place], bodyBytes: body.count)
        place += 1
      }
    }
    return (place, false)
  }

  private mutating func take(_ byte: UInt8, bodyBytes: Int) throws(HTTPError) {
    switch state {
    case .size, .extensions: try takeSizeLine(byte, bodyBytes)
    case .sizeLineFeed:
      guard byte == 0x0A else { throw .badChunk }
      state = size == 0 ? .trailer : .data(left: size)
      (size, lineBytes) = (0, 0)
    case .dataCarriageReturn:
      guard byte == 0x0D else { throw .badChunk }
      state = .dataLineFeed
    case .dataLineFeed:
      guard byte == 0x0A else { throw .badChunk }
      state = .size
    case .data, .trailer: preconditionFailure("data and trailers are not taken byte by byte")
    }
  }

  private mutating func takeSizeLine(_ byte: UInt8, _ bodyBytes: Int) throws(HTTPError) {
    lineBytes += 1
    guard lineBytes <= Self.lineBytesMax else { throw .badChunk }
    if case .extensions = state {
      if byte == 0x0D { state = .sizeLineFeed } else if byte.isControl { throw .badChunk }
      return
    }
    if let digit = Self.digit(byte) {
      size = size * 16 + digit
      // Said at the first digit that is too many, so nothing overflows.
      guard size <= bytesMax - bodyBytes else { throw .bodyTooLarge }
      return
    }
    guard lineBytes > 1 else { throw .badChunk }
    switch byte {
    case 0x0D: state = .sizeLineFeed
    case UInt8(ascii: ";"): state = .extensions
    default: throw .badChunk
    }
  }

  private mutating func takeTrailer(
    _ input: UnsafeRawBufferPointer
  ) throws(HTTPError) -> (count: Int, isComplete: Bool) {
    let taken: (count: Int, isComplete: Bool)
    do {
      taken = try trailer.take(input)
    } catch {
      throw error == .targetTooLong ? .headTooLarge : error
    }
    guard taken.isComplete else { return taken }
    guard trailer.lines.count <= HTTPHead.fieldsMax else { throw .tooManyFields }
    for line in trailer.lines { _ = try HTTPHead.field(line, trailer.text.readable) }
    return taken
  }

  private static func digit(_ byte: UInt8) -> Int? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): Int(byte - UInt8(ascii: "0"))
    case UInt8(ascii: "a")...UInt8(ascii: "f"): Int(byte - UInt8(ascii: "a")) + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): Int(byte - UInt8(ascii: "A")) + 10
    default: nil
    }
  }
}
