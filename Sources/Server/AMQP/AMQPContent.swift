// A message on its way in: `basic.publish`, its content header, and as much of its body as has come.
//
// Holds: names, properties and a body of one frame are views of what was received for as long as that stays where it is, so
// that a message that comes in one piece is never copied; `keep` copies them. Pieces of a body are put together in memory
// that grows with what has come, not with what was announced.
// Leaves to others: which frame may come when (FrameOrder), bounds (the session).

import AMQPProtocol
import Primitives

/// A message that is coming in, and when it is whole until the next one begins.
struct AMQPContent: ~Copyable {
  private(set) var exchange = UnsafeRawBufferPointer.none
  private(set) var routingKey = UnsafeRawBufferPointer.none
  private(set) var isMandatory = false
  private(set) var isImmediate = false
  /// Flags and values, as they came.
  private(set) var properties = UnsafeRawBufferPointer.none
  /// The body, once it is whole.
  private(set) var body = UnsafeRawBufferPointer.none
  private var announcedBytes = 0
  // Copies of names and properties; empty while they are views.
  private var names = ByteBuffer()
  private var pieces = ByteBuffer()

  /// Bytes of a body that are kept here because more is to come.
  var pieceBytes: Int { pieces.count }

  mutating func begin(_ method: BasicPublish) {
    clear()
    exchange = method.exchange
    routingKey = method.routingKey
    isMandatory = method.mandatory
    isImmediate = method.immediate
  }

  mutating func setHeader(_ header: ContentHeader) {
    announcedBytes = Int(clamping: header.bodyBytes)
    properties = header.properties
  }

  /// Takes the next piece of the body.
  mutating func add(_ piece: UnsafeRawBufferPointer) {
    if piece.count == announcedBytes {
      body = piece
    } else {
      pieces.append(piece)
      if pieces.count == announcedBytes { body = pieces.readable }
    }
  }

  /// Copies what may move when more is received.
  mutating func keep() {
    guard names.isEmpty else { return keepProperties() }
    names.reserve(exchange.count + routingKey.count + properties.count)
    let (exchangeBytes, keyBytes, propertyBytes) = (exchange.count, routingKey.count, properties.count)
    names.append(exchange)
    names.append(routingKey)
    names.append(properties)
    point(exchangeBytes, keyBytes, propertyBytes)
  }

  // The header came after the names had been copied.
  private mutating func keepProperties() {
    guard properties.count > 0, names.count == exchange.count + routingKey.count else { return }
    let (exchangeBytes, keyBytes, propertyBytes) = (exchange.count, routingKey.count, properties.count)
    names.append(properties)
    point(exchangeBytes, keyBytes, propertyBytes)
  }

  private mutating func point(_ exchangeBytes: Int, _ keyBytes: Int, _ propertyBytes: Int) {
    let bytes = names.readable
    exchange = UnsafeRawBufferPointer(rebasing: bytes[..<exchangeBytes])
    routingKey = UnsafeRawBufferPointer(rebasing: bytes[exchangeBytes..<exchangeBytes + keyBytes])
    properties = UnsafeRawBufferPointer(rebasing: bytes[(exchangeBytes + keyBytes)...].prefix(propertyBytes))
  }

  /// Forgets the message and gives memory back that most messages do not need.
  mutating func clear() {
    exchange = .none
    routingKey = .none
    properties = .none
    body = .none
    announcedBytes = 0
    names.removeAll()
    pieces.removeAll()
    pieces.shrink()
  }
}
