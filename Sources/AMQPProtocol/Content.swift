// Contents: headers as they come, and whole messages as they go.
//
// A content header is u16 class, u16 weight (0), u64 body size, u16 flags, and the properties that the flags name.
//
// Leaves to others: the properties (BasicProperties), which frame may come when (FrameOrder), the limit of a message, the memory of the body (the session).

import Glibc
import Primitives

/// A content header as it came; good as long as the frame.
public struct ContentHeader {
  /// Bytes of the body to come.
  public let bodyBytes: UInt64
  /// Flags and properties, to be kept as they are.
  public let properties: UnsafeRawBufferPointer

  static let fixedBytes = 12

  /// Reads the payload of a header frame. The properties are not looked into yet.
  ///
  /// - Throws: 501 when it is too short, 505 for a class other than basic.
  public init(_ payload: UnsafeRawBufferPointer) throws(AMQPFault) {
    guard payload.count >= Self.fixedBytes + 2 else {
      throw AMQPFault(.frameError, "a content header has at least 14 octets, not \(payload.count)")
    }
    let classID = payload.number(0, UInt16.self)
    guard classID == Method.basicClass, payload.number(2, UInt16.self) == 0 else {
      throw AMQPFault(.unexpectedFrame, "a content header of class 60, weight 0 was expected, not of class \(classID)")
    }
    bodyBytes = payload.number(4, UInt64.self)
    properties = UnsafeRawBufferPointer(rebasing: payload[Self.fixedBytes...])
  }
}

extension ByteBuffer {
  /// Appends a whole message: the method's frame, the header's, and the body's in frames of at most `maxFrameBytes`; none for
  /// an empty body. A header cannot be split and goes as it is. O(bytes), at most one allocation.
  ///
  /// - Parameters:
  ///   - properties: flags and properties, as in `ContentHeader.properties`.
  ///   - maxFrameBytes: as negotiated with the receiver; at least 4096.
  @inlinable public mutating func append<Fields: MethodFields>(
    _ method: Fields, channel: UInt16, properties: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer,
    maxFrameBytes: Int
  ) {
    var method = method
    let methodBytes = 4 + Self.measure(&method)
    reserve(Self.frameBytes(method: methodBytes, properties: properties, body: body, maxFrameBytes: maxFrameBytes))
    append(method, channel: channel)
    append(properties: properties, body: body, channel: channel, maxFrameBytes: maxFrameBytes)
  }

  @usableFromInline static func frameBytes(
    method: Int, properties: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer, maxFrameBytes: Int
  ) -> Int {
    let pieceBytes = maxFrameBytes - Frame.overheadBytes
    let bodyFrames = (body.count + pieceBytes - 1) / pieceBytes
    return method + ContentHeader.fixedBytes + properties.count + body.count + (2 + bodyFrames) * Frame.overheadBytes
  }

  @usableFromInline mutating func append(
    properties: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer, channel: UInt16, maxFrameBytes: Int
  ) {
    precondition(maxFrameBytes >= 4096, "frames are negotiated from 4096 bytes on")
    precondition(properties.count >= 2, "properties begin with their flags")
    let headerBytes = ContentHeader.fixedBytes + properties.count
    let header = appendFrame(.header, channel: channel, payloadBytes: headerBytes)
    header.store(Method.basicClass, 0)
    header.store(UInt16(0), 2)
    header.store(UInt64(body.count), 4)
    memcpy(header + ContentHeader.fixedBytes, properties.baseAddress!, properties.count)
    var offset = 0
    while offset < body.count {
      let count = min(body.count - offset, maxFrameBytes - Frame.overheadBytes)
      memcpy(appendFrame(.body, channel: channel, payloadBytes: count), body.baseAddress! + offset, count)
      offset += count
    }
  }
}
