// Cuts what a connection receives into frames.
//
//   0 i32 length of what follows                    8 header
//   4 u8  serialize type of the header: 0 JSON, 1 binary    … body
//   5 u24 length of the header
//
// Holds: no more than the longest frame and one read are ever buffered, and memory grows only with what has arrived, not
// with what a length announces. After an error nothing more comes out: the next frame cannot be found.
// Leaves to others: reading (the connection), the header (`RemotingHeaderReader`), the body.

import Primitives

/// How a header is written; a response is written as its request was.
public enum RemotingSerialization: UInt8, Sendable {
  /// A JSON object.
  case json = 0
  /// RocketMQ's own layout.
  case binary = 1
}

/// One frame, as views of the reader's buffer.
public struct RemotingFrame {
  /// How the header is written.
  public let serialization: RemotingSerialization
  /// The header.
  public let header: UnsafeRawBufferPointer
  /// The body; empty when there is none.
  public let body: UnsafeRawBufferPointer
}

/// The receiving side of a connection: bytes in, frames out.
public struct RemotingFrameReader: ~Copyable {
  /// The longest frame accepted unless something else is said: that of RocketMQ.
  public static let frameBytesMaxDefault = 16 << 20

  /// The longest frame in bytes, counted as its length field does: all that follows it.
  public let frameBytesMax: Int
  private var received = ByteBuffer()
  private var error: RemotingError?

  /// Makes a reader.
  ///
  /// - Parameter frameBytesMax: at least 8.
  public init(frameBytesMax: Int = frameBytesMaxDefault) {
    precondition(frameBytesMax >= 8, "a frame may have at least the length of its header and a short one")
    self.frameBytesMax = frameBytesMax
  }

  /// Bytes received that are not yet part of a frame given out; at the end of a connection, what is cut off.
  public var bufferedBytes: Int { received.count }

  /// Memory held.
  public var allocatedBytes: Int { received.allocatedBytes }

  /// Room for one read of at least `minimum` bytes. Frames given out before are no longer good.
  public mutating func writable(_ minimum: Int) -> UnsafeMutableRawBufferPointer { received.writable(minimum) }

  /// Takes in the first `count` bytes of the room: what the read gave.
  public mutating func commit(_ count: Int) {
    received.commit(count)
    if error != nil { received.removeAll() }
  }

  /// Takes in bytes from elsewhere. Frames given out before are no longer good.
  public mutating func append(_ bytes: UnsafeRawBufferPointer) {
    if error == nil { received.append(bytes) }
  }

  /// The next frame, good until the next `writable` or `append`; nil when no whole frame is there. Call until it gives nil,
  /// then read again.
  ///
  /// - Throws: `frameTooLong`, `headerOutsideFrame`, `unknownSerialization`, as soon as the bytes say so and on every
  ///   later call. Close the connection.
  /// - Complexity: O(1).
  public mutating func next() throws(RemotingError) -> RemotingFrame? {
    if let error { throw error }
    var fields = ByteReader(received.readable)
    guard fields.left >= 4 else { return nil }
    let frameBytes = Int(fields.number(UInt32.self))
    guard frameBytes <= frameBytesMax else { throw broken(.frameTooLong(bytes: frameBytes, bytesMax: frameBytesMax)) }
    guard frameBytes >= 4 else { throw broken(.headerOutsideFrame(headerBytes: 0, frameBytes: frameBytes)) }
    guard fields.left >= 4 else { return nil }
    let word = fields.number(UInt32.self)
    let headerBytes = Int(word & 0xFF_FFFF)
    guard let serialization = RemotingSerialization(rawValue: UInt8(word >> 24)) else {
      throw broken(.unknownSerialization(UInt8(word >> 24)))
    }
    guard headerBytes <= frameBytes - 4 else {
      throw broken(.headerOutsideFrame(headerBytes: headerBytes, frameBytes: frameBytes))
    }
    guard fields.left >= frameBytes - 4 else { return nil }
    let header = fields.take(headerBytes)
    let body = fields.take(frameBytes - 4 - headerBytes)
    received.consume(4 + frameBytes)
    return RemotingFrame(serialization: serialization, header: header, body: body)
  }

  /// Gives memory back when nothing is buffered; for after a burst. Frames given out before are no longer good.
  public mutating func shrink(keepingBytes: Int = 65_536) { received.shrink(keepingBytes: keepingBytes) }

  private mutating func broken(_ error: RemotingError) -> RemotingError {
    self.error = error
    received.removeAll()
    received.shrink(keepingBytes: 0)
    return error
  }
}
