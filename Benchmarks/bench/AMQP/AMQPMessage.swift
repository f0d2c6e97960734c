// A message as it is published, put together beforehand: the same bytes are sent again and again, but for the delay and the body.

import Primitives

struct AMQPMessage {
  /// Method, content header, and the head of the frame of the body, which has `PeerBody.bytes`.
  private(set) var head: [UInt8]
  /// Where the four bytes of `x-delay` lie in `head`.
  private let delayPlace: Int

  /// A message for an exchange and a routing key.
  ///
  /// - Parameter delayMs: its header `x-delay`, if it has one.
  init(
    exchange: String = "", key: String, isPersistent: Bool = true, expirationMs: Int? = nil, delayMs: Int32? = nil
  ) {
    // Flags: bit 13 headers, 12 delivery mode, 8 expiration.
    var flags: UInt16 = 0x1000
    var values: [UInt8] = []
    if let delayMs {
      flags |= 0x2000
      values += AMQPWire.table(AMQPWire.text("x-delay") + [UInt8(ascii: "I")] + AMQPWire.bytes(delayMs))
    }
    values.append(isPersistent ? 2 : 1)
    if let expirationMs {
      flags |= 0x0100
      values += AMQPWire.text(String(expirationMs))
    }
    let method = AMQPWire.frame(1, [0, 60, 0, 40, 0, 0] + AMQPWire.text(exchange) + AMQPWire.text(key) + [0])
    // The table's size, the name with its length and the kind of the value stand before the delay; a frame has 7 bytes before its
    // payload, and a content header 14 before its values.
    delayPlace = method.count + 7 + 14 + 4 + 8 + 1
    head = method
    head += AMQPWire.frame(2, [0, 60, 0, 0] + AMQPWire.bytes(UInt64(PeerBody.bytes)) + AMQPWire.bytes(flags) + values)
    head += [3, 0, 1] + AMQPWire.bytes(UInt32(PeerBody.bytes))
  }

  /// Changes the delay of a message that has one.
  mutating func setDelay(ms: Int32) {
    withUnsafeBytes(of: ms.bigEndian) { head.replaceSubrange(delayPlace..<delayPlace + 4, with: $0) }
  }

  /// All of it, with a body of nothing in particular.
  var whole: [UInt8] { head + [UInt8](repeating: UInt8(ascii: "x"), count: PeerBody.bytes) + [AMQPWire.frameEnd] }
}
