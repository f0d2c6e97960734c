// Finds what a server has sent in the bytes that have come so far.
//
// Holds: however the bytes were cut on their way, the same frames come out. No line is longer than `lineBytesMax`, no message
// longer than `payloadBytesMax`: what would be is refused as soon as that is seen, not when all of it has come.
// Leaves to others: the buffer (its owner takes a frame's bytes out of it when it is done with it).
// Source: docs.nats.io, "Client Protocol"; HMSG as of ADR-4.

/// A parser that remembers how far it has looked for the end of a line.
struct FrameReader {
  /// The longest line; INFO is the longest one there is, with the addresses of all servers.
  static let lineBytesMax = 64 << 10
  /// The longest message with its headers: the answer of a server that carries an entry of 1 MiB as Base64 fits.
  static let payloadBytesMax = 8 << 20

  // Bytes at the front that hold no end of a line.
  private var searched = 0

  /// The frame at the front, and how many bytes it takes; nil when more must come.
  ///
  /// - Parameter bytes: all that has come and was not taken, from the same place in the stream as in the last call, until a
  ///   frame was given; then from behind it.
  /// - Complexity: O(bytes that are new + length of the line).
  mutating func next(_ bytes: UnsafeRawBufferPointer) throws(NATSProtocolError) -> (frame: NATSFrame, count: Int)? {
    guard let lineEnd = try lineEnd(bytes) else { return nil }
    let line = UnsafeRawBufferPointer(rebasing: bytes[..<lineEnd])
    let start = lineEnd + 2
    guard let found = try frame(line, UnsafeRawBufferPointer(rebasing: bytes[start...])) else { return nil }
    searched = 0
    return (found.frame, start + found.payloadBytes)
  }

  /// The place of the CR that ends the line.
  private mutating func lineEnd(_ bytes: UnsafeRawBufferPointer) throws(NATSProtocolError) -> Int? {
    while let place = bytes[searched...].firstIndex(of: UInt8(ascii: "\n")) {
      guard place > 0, bytes[place - 1] == UInt8(ascii: "\r") else {
        throw NATSProtocolError("a line that does not end with CR LF")
      }
      guard place <= Self.lineBytesMax else { break }
      // Found again, at no cost, when the message behind the line has not come yet.
      searched = place
      return place - 1
    }
    searched = bytes.count
    guard bytes.count <= Self.lineBytesMax else {
      throw NATSProtocolError("a line longer than \(Self.lineBytesMax) bytes")
    }
    return nil
  }

  private func frame(
    _ line: UnsafeRawBufferPointer, _ rest: UnsafeRawBufferPointer
  ) throws(NATSProtocolError) -> (frame: NATSFrame, payloadBytes: Int)? {
    let (word, arguments) = Self.split(line)
    switch word.count {
    case 3 where Self.isWord(word, "MSG"): return try message(arguments, rest, hasHeaders: false)
    case 4 where Self.isWord(word, "HMSG"): return try message(arguments, rest, hasHeaders: true)
    case 4 where Self.isWord(word, "PING"): return (.ping, 0)
    case 4 where Self.isWord(word, "PONG"): return (.pong, 0)
    case 4 where Self.isWord(word, "INFO"): return (.info(arguments), 0)
    case 3 where Self.isWord(word, "+OK"): return (.ok, 0)
    case 4 where Self.isWord(word, "-ERR"): return (.error(Self.unquoted(arguments)), 0)
    default: throw NATSProtocolError("a line that begins with none of the words of the protocol")
    }
  }

  /// `subject sid [reply] [header bytes] bytes`
  private func message(
    _ arguments: UnsafeRawBufferPointer, _ rest: UnsafeRawBufferPointer, hasHeaders: Bool
  ) throws(NATSProtocolError) -> (frame: NATSFrame, payloadBytes: Int)? {
    let numbers = hasHeaders ? 2 : 1
    let words = Words(arguments)
    guard words.count == 2 + numbers || words.count == 3 + numbers, let subscription = Decimal.number(words[1]),
      let total = Decimal.number(words[words.count - 1]),
      let headerBytes = hasHeaders ? Decimal.number(words[words.count - 2]) : 0, headerBytes <= total
    else { throw NATSProtocolError("a line of a message that is not 'subject sid [reply] bytes'") }
    guard total <= UInt64(Self.payloadBytesMax) else {
      throw NATSProtocolError("a message of \(total) bytes, more than \(Self.payloadBytesMax)")
    }
    let (count, split) = (Int(total), Int(headerBytes))
    guard rest.count >= count + 2 else { return nil }
    guard rest[count] == UInt8(ascii: "\r"), rest[count + 1] == UInt8(ascii: "\n") else {
      throw NATSProtocolError("a message that does not end where its line says")
    }
    let headers =
      hasHeaders ? try NATSHeaders(block: UnsafeRawBufferPointer(rebasing: rest[..<split])) : NATSHeaders.none
    let message = NATSMessage(
      subject: words[0], subscription: subscription,
      reply: words.count == 3 + numbers ? words[2] : UnsafeRawBufferPointer(start: nil, count: 0),
      headers: headers, payload: UnsafeRawBufferPointer(rebasing: rest[split..<count]))
    return (.message(message), count + 2)
  }

  /// The first word of a line, and the rest without the white space before it.
  private static func split(
    _ line: UnsafeRawBufferPointer
  ) -> (word: UnsafeRawBufferPointer, rest: UnsafeRawBufferPointer) {
    let end = line.firstIndex(where: Words.isSpace) ?? line.count
    let rest = line[end...].drop(while: Words.isSpace)
    return (UnsafeRawBufferPointer(rebasing: line[..<end]), UnsafeRawBufferPointer(rebasing: rest))
  }

  /// Whether these are the letters, large or small. The lengths are equal.
  private static func isWord(_ bytes: UnsafeRawBufferPointer, _ word: StaticString) -> Bool {
    for (byte, letter) in zip(bytes, word.bytes) where byte != letter {
      guard byte | 0x20 == letter | 0x20, letter >= UInt8(ascii: "A") else { return false }
    }
    return true
  }

  private static func unquoted(_ text: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
    let quote = UInt8(ascii: "'")
    guard text.count >= 2, text.first == quote, text.last == quote else { return text }
    return UnsafeRawBufferPointer(rebasing: text[1..<(text.count - 1)])
  }
}

/// The words of a line, at most six: more than any line has.
private struct Words {
  private let line: UnsafeRawBufferPointer
  private var bounds = InlineArray<6, Range<Int>>(repeating: 0..<0)
  private(set) var count = 0

  static func isSpace(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

  init(_ line: UnsafeRawBufferPointer) {
    self.line = line
    var place = 0
    while count < bounds.count {
      while place < line.count, Self.isSpace(line[place]) { place += 1 }
      if place == line.count { break }
      let start = place
      while place < line.count, !Self.isSpace(line[place]) { place += 1 }
      bounds[count] = start..<place
      count += 1
    }
  }

  subscript(place: Int) -> UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: line[bounds[place]]) }
}
