// What may follow what on one channel: a method, then its content header if it carries content, then the body until it is
// whole. Frames of other channels may stand between.
//
// Leaves to others: limits on a message, what methods mean (the session).

/// The place in that order that a channel has reached.
public struct FrameOrder {
  /// A frame in its place.
  public enum Arrival {
    /// A method; if it carries content, that follows.
    case method(MethodFrame)
    /// The header of the content; when the body is empty, the content is complete.
    case header(ContentHeader)
    /// The next piece of the body; after the last one the content is complete.
    case body(UnsafeRawBufferPointer)
  }

  private enum Expectation {
    case method
    case header(Method)
    case body(Method, bytes: UInt64)
  }

  private var expected = Expectation.method

  /// At the beginning of a channel.
  public init() {}

  /// Whether the last method has all of its content: a method comes next.
  public var isComplete: Bool { if case .method = expected { true } else { false } }

  /// Takes the next frame of the channel.
  ///
  /// - Precondition: it is no heartbeat.
  /// - Throws: 505 for a frame out of order; 501 for a body longer than announced; what `MethodFrame` and `ContentHeader`
  ///   throw. All of them end the connection.
  public mutating func accept(_ frame: Frame) throws(AMQPFault) -> Arrival {
    precondition(frame.kind != .heartbeat, "heartbeats belong to the connection, not to a channel")
    switch (expected, frame.kind) {
    case (.method, .method):
      let method = try MethodFrame(frame.payload)
      if method.method.carriesContent { expected = .header(method.method) }
      return .method(method)
    case (.header(let method), .header):
      let header = try ContentHeader(frame.payload)
      expected = header.bodyBytes == 0 ? .method : .body(method, bytes: header.bodyBytes)
      return .header(header)
    case (.body(let method, let bytes), .body):
      let count = UInt64(frame.payload.count)
      guard count <= bytes else {
        throw AMQPFault(.frameError, "a body of \(bytes) octets more was announced, \(count) came", method: method)
      }
      expected = count == bytes ? .method : .body(method, bytes: bytes - count)
      return .body(frame.payload)
    case (.method, let came): throw outOfOrder("a method", came, nil)
    case (.header(let method), let came): throw outOfOrder("a content header", came, method)
    case (.body(let method, _), let came): throw outOfOrder("a content body", came, method)
    }
  }

  private func outOfOrder(_ expected: String, _ came: FrameKind, _ method: Method?) -> AMQPFault {
    AMQPFault(.unexpectedFrame, "\(expected) was expected, a frame of type \(came.rawValue) came", method: method)
  }
}
