// What a NATS server sends, as it lies in the receive buffer.
//
// Holds: all views are into the buffer that was parsed, and good until bytes are taken from it.
// Leaves to others: finding it in the buffer (FrameReader), what it means (NATSClient).

/// One thing that a server has sent.
enum NATSFrame {
  /// `INFO`, with its JSON.
  case info(UnsafeRawBufferPointer)
  /// `MSG` and `HMSG`.
  case message(NATSMessage)
  /// `PING`.
  case ping
  /// `PONG`.
  case pong
  /// `+OK`.
  case ok
  /// `-ERR`, with its text between the quotes.
  case error(UnsafeRawBufferPointer)
}

/// A message that came by a subscription.
public struct NATSMessage {
  /// Where it was published.
  public let subject: UnsafeRawBufferPointer
  /// The number of the subscription.
  public let subscription: UInt64
  /// Where an answer is expected; empty when none is.
  public let reply: UnsafeRawBufferPointer
  /// Its headers; of nothing when it has none.
  public let headers: NATSHeaders
  /// Its bytes.
  public let payload: UnsafeRawBufferPointer
}

/// Why bytes of a server are not what the protocol allows. The connection cannot go on.
public struct NATSProtocolError: Error, Equatable, CustomStringConvertible {
  /// What is wrong.
  public let description: String

  init(_ description: String) { self.description = description }
}
