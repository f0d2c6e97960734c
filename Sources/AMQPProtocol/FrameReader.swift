// Frames: cut from what a connection receives, and begun in what it sends.
//
//   0 u8  type: 1 method, 2 content header, 3 body, 8 heartbeat        7 payload
//   1 u16 channel                                                  7 + n u8 0xCE
//   3 u32 length n of the payload
//
// Holds: no more than one frame of the negotiated size and one read are ever buffered; a payload is never copied; after a
// fault nothing more comes out, since the place where the next frame begins is not known.
// Leaves to others: reading (the connection), what follows what on a channel (FrameOrder), answering and closing.

import Glibc
import Primitives

/// What a frame carries.
public enum FrameKind: UInt8, Sendable {
  case method = 1
  case header = 2
  case body = 3
  case heartbeat = 8
}

/// A frame; good until the next `writable`, `append` or `shrink` of the reader it comes from.
public struct Frame {
  /// What it carries.
  public let kind: FrameKind
  /// The channel; never 0 for contents, always 0 for heartbeats.
  public let channel: UInt16
  /// The payload where it was received.
  public let payload: UnsafeRawBufferPointer

  /// Bytes of a frame around its payload.
  public static let overheadBytes = 8
  static let headBytes = 7
  static let end: UInt8 = 0xCE

  // The type, channel and payload of a frame that is whole.
  fileprivate init(_ type: UInt8, _ channel: UInt16, _ payload: UnsafeRawBufferPointer) throws(AMQPFault) {
    guard let kind = FrameKind(rawValue: type), kind != .heartbeat || payload.isEmpty else {
      throw AMQPFault(.frameError, "unknown frame of type \(type), \(payload.count) octets, on channel \(channel)")
    }
    guard kind == .method || (kind == .heartbeat) == (channel == 0) else {
      throw AMQPFault(.unexpectedFrame, "a frame of type \(type) has no place on channel \(channel)")
    }
    self.kind = kind
    self.channel = channel
    self.payload = payload
  }
}

/// The receiving side of a connection: bytes in, frames out.
public struct FrameReader: ~Copyable {
  /// What `next` found.
  public enum Step {
    /// Nothing whole is there: read more.
    case needsMore
    /// The client's protocol header, which is ours: send `connection.start`.
    case opened
    /// What came first is not our protocol header: answer with it and close. It stays so.
    case foreignProtocol
    /// A frame.
    case frame(Frame)
  }

  private enum State {
    case opening, open, foreign
    case broken(AMQPFault)
  }

  /// The largest frame in bytes, as negotiated: the payload and 8 bytes.
  public var maxFrameBytes: Int {
    didSet { Self.check(maxFrameBytes) }
  }
  private var received = ByteBuffer()
  private var state = State.opening

  /// Makes a reader that expects the protocol header.
  ///
  /// - Parameter maxFrameBytes: 4096…131 072; the limit until another is negotiated.
  public init(maxFrameBytes: Int = 131_072) {
    Self.check(maxFrameBytes)
    self.maxFrameBytes = maxFrameBytes
  }

  private static func check(_ maxFrameBytes: Int) {
    precondition((4096...131_072).contains(maxFrameBytes), "frames are negotiated between 4096 and 131 072 bytes")
  }

  /// Bytes received that are not yet part of a frame given out.
  public var bufferedBytes: Int { received.count }

  /// Memory held.
  public var allocatedBytes: Int { received.allocatedBytes }

  /// Room for one read of at least `minimum` bytes. Frames given out before are no longer good.
  public mutating func writable(_ minimum: Int) -> UnsafeMutableRawBufferPointer { received.writable(minimum) }

  /// Takes in the first `count` bytes of the room: what the read gave.
  public mutating func commit(_ count: Int) {
    received.commit(count)
    dropIfEnded()
  }

  /// Takes in bytes from elsewhere. Frames given out before are no longer good.
  public mutating func append(_ bytes: UnsafeRawBufferPointer) {
    received.append(bytes)
    dropIfEnded()
  }

  /// Gives memory back when nothing is buffered. Frames given out before are no longer good.
  public mutating func shrink(keepingBytes: Int = 65_536) { received.shrink(keepingBytes: keepingBytes) }

  /// The next frame. Call until it says `needsMore`, then read again. O(1).
  ///
  /// - Throws: 501 for a frame over the limit (as soon as its length is there), a wrong end octet or an unknown type; 505
  ///   for a heartbeat on a channel other than 0, or content on channel 0. Thrown again at each further call.
  public mutating func next() throws(AMQPFault) -> Step {
    switch state {
    case .opening: return readProtocolHeader()
    case .foreign: return .foreignProtocol
    case .broken(let fault): throw fault
    case .open:
      do {
        guard let frame = try cut() else { return .needsMore }
        received.consume(frame.payload.count + Frame.overheadBytes)
        return .frame(frame)
      } catch {
        state = .broken(error)
        dropIfEnded()
        throw error
      }
    }
  }

  // The frame at the front, not yet consumed; nil when it is not whole.
  private func cut() throws(AMQPFault) -> Frame? {
    let bytes = received.readable
    guard bytes.count >= Frame.headBytes else { return nil }
    let type = bytes[0]
    let channel = bytes.number(1, UInt16.self)
    let payloadBytes = Int(bytes.number(3, UInt32.self))
    guard payloadBytes <= maxFrameBytes - Frame.overheadBytes else {
      throw AMQPFault(
        .frameError,
        "a frame of type \(type) on channel \(channel) is too large: \(payloadBytes) octets of payload, at most "
          + "\(maxFrameBytes - Frame.overheadBytes) were negotiated")
    }
    let end = Frame.headBytes + payloadBytes
    guard bytes.count > end else { return nil }
    guard bytes[end] == Frame.end else {
      throw AMQPFault(.frameError, "a frame of type \(type) on channel \(channel) ends in octet \(bytes[end]), not 206")
    }
    return try Frame(type, channel, UnsafeRawBufferPointer(rebasing: bytes[Frame.headBytes..<end]))
  }

  private mutating func readProtocolHeader() -> Step {
    let expected = ByteBuffer.protocolHeader
    let bytes = received.readable
    let count = min(bytes.count, expected.utf8CodeUnitCount)
    guard count == 0 || memcmp(bytes.baseAddress!, expected.utf8Start, count) == 0 else {
      state = .foreign
      dropIfEnded()
      return .foreignProtocol
    }
    guard count == expected.utf8CodeUnitCount else { return .needsMore }
    received.consume(count)
    state = .open
    return .opened
  }

  private mutating func dropIfEnded() {
    switch state {
    case .opening, .open: return
    case .foreign, .broken:
      received.removeAll()
      received.shrink(keepingBytes: 0)
    }
  }
}

extension ByteBuffer {
  fileprivate static var protocolHeader: StaticString { "AMQP\u{0}\u{0}\u{9}\u{1}" }

  /// Appends our protocol header: the answer to another one.
  public mutating func appendProtocolHeader() { append(Self.protocolHeader) }

  /// Appends a heartbeat.
  public mutating func appendHeartbeat() { _ = appendFrame(.heartbeat, channel: 0, payloadBytes: 0) }

  // Appends a frame whose payload is still to be written, where the result says.
  mutating func appendFrame(
    _ kind: FrameKind, channel: UInt16, payloadBytes: Int
  ) -> UnsafeMutableRawPointer {
    let frameBytes = payloadBytes + Frame.overheadBytes
    let place = writable(frameBytes).baseAddress!
    place.store(kind.rawValue, 0)
    place.store(channel, 1)
    place.store(UInt32(payloadBytes), 3)
    place.store(Frame.end, frameBytes - 1)
    commit(frameBytes)
    return place + Frame.headBytes
  }
}

extension UnsafeRawBufferPointer {
  // A number in the network's order; the caller has checked that it is there.
  func number<Number: FixedWidthInteger>(_ offset: Int, _: Number.Type) -> Number {
    Number(bigEndian: loadUnaligned(fromByteOffset: offset, as: Number.self))
  }
}

extension UnsafeMutableRawPointer {
  func store<Number: FixedWidthInteger>(_ value: Number, _ offset: Int) {
    storeBytes(of: value.bigEndian, toByteOffset: offset, as: Number.self)
  }
}
