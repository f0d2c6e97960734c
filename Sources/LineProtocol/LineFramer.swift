// Cuts what a connection receives into lines.
//
// Holds: no more than the cap and one read are ever buffered; every byte is searched for a newline once, however slowly
// it drips in; after a line that was too long nothing more comes out, since the middle of a line is no place to begin.
// Leaves to others: reading (the connection), answering `line_too_long` and closing (the server).

import Glibc
import Primitives

/// The receiving side of a connection: bytes in, lines out.
public struct LineFramer: ~Copyable {
  /// What `next` found.
  public enum Step {
    /// A line without its `\n` and one `\r` before it; good until the next `writable`.
    case line(UnsafeRawBufferPointer)
    /// No whole line is there: read more.
    case needsMore
    /// A line exceeds the cap: refuse with `line_too_long` and close. It stays so.
    case tooLong
  }

  /// The longest line in bytes, not counting `\n` or `\r\n`.
  public let maxLineBytes: Int
  private var received = ByteBuffer()
  // So many bytes at the front of `received` are known to hold no newline.
  private var searched = 0
  private var isBroken = false

  /// Makes a framer.
  ///
  /// - Parameter maxLineBytes: at least 1.
  public init(maxLineBytes: Int) {
    precondition(maxLineBytes >= 1, "a line may have at least one byte")
    self.maxLineBytes = maxLineBytes
  }

  /// Bytes received that are not yet part of a line given out; at the end of a connection, what is cut off.
  public var bufferedBytes: Int { received.count }

  /// Memory held.
  public var allocatedBytes: Int { received.allocatedBytes }

  /// Room for one read of at least `minimum` bytes. Lines given out before are no longer good.
  public mutating func writable(_ minimum: Int) -> UnsafeMutableRawBufferPointer { received.writable(minimum) }

  /// Takes in the first `count` bytes of the room: what the read gave.
  public mutating func commit(_ count: Int) {
    received.commit(count)
    if isBroken { received.removeAll() }
  }

  /// Takes in bytes from elsewhere.
  public mutating func append(_ bytes: UnsafeRawBufferPointer) {
    received.append(bytes)
    if isBroken { received.removeAll() }
  }

  /// The next line. Call until it says `needsMore`, then read again. O(bytes not searched yet).
  public mutating func next() -> Step {
    if isBroken { return .tooLong }
    let bytes = received.readable
    let unsearched = bytes.count - searched
    guard unsearched > 0, let newline = memchr(bytes.baseAddress! + searched, 0x0A, unsearched) else {
      searched = bytes.count
      return isTooLong(unfinished: bytes) ? breakOff() : .needsMore
    }
    let length = UnsafeRawPointer(newline) - bytes.baseAddress!
    let line = UnsafeRawBufferPointer(rebasing: bytes[..<Self.withoutReturn(bytes, length)])
    guard line.count <= maxLineBytes else { return breakOff() }
    received.consume(length + 1)
    searched = 0
    return .line(line)
  }

  /// Gives memory back when nothing is buffered; for after a burst. Lines given out before are no longer good.
  public mutating func shrink(keepingBytes: Int = 65_536) { received.shrink(keepingBytes: keepingBytes) }

  // One byte over the cap may still be the `\r` that does not count.
  private func isTooLong(unfinished bytes: UnsafeRawBufferPointer) -> Bool {
    Self.withoutReturn(bytes, bytes.count) > maxLineBytes
  }

  @inline(__always) private static func withoutReturn(_ bytes: UnsafeRawBufferPointer, _ length: Int) -> Int {
    length > 0 && bytes[length - 1] == 0x0D ? length - 1 : length
  }

  private mutating func breakOff() -> Step {
    isBroken = true
    received.removeAll()
    received.shrink(keepingBytes: 0)
    return .tooLong
  }
}
