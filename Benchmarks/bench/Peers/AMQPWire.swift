// The client side of AMQP 0-9-1, as far as the comparison with RabbitMQ needs it: frames put together once by hand, so that the
// client is not what is slow.

import Primitives

final class AMQPWire {
  let connection: LineConnection
  private var out = ByteBuffer()

  /// Connects as guest, and opens channel 1.
  init(port: UInt16) {
    connection = LineConnection(port: port)
    out.append(Array("AMQP".utf8) + [0, 0, 9, 1])
    connection.send(&out)
    expect(10, 10)
    let login = Array("\0guest\0guest".utf8)
    send(
      0, 10, 11, [0, 0, 0, 0] + Self.text("PLAIN") + [0, 0, 0, UInt8(login.count)] + login + Self.text("en_US"))
    expect(10, 30)
    // One channel, frames of 128 KiB, no heartbeats.
    send(0, 10, 31, [0, 1, 0, 2, 0, 0, 0, 0])
    send(0, 10, 40, Self.text("/") + [0, 0])
    expect(10, 41)
    call(20, 10, [0])
  }

  /// The queue in which messages wait for the end of their time to live, and the one to which they move then.
  func declareQueues() {
    let arguments =
      Self.text("x-dead-letter-exchange") + Self.longText("") + Self.text("x-dead-letter-routing-key")
      + Self.longText("ready")
    call(50, 10, [0, 0] + Self.text("ready") + [2] + [0, 0, 0, 0])
    call(50, 10, [0, 0] + Self.text("waiting") + [2] + Self.bytes(UInt32(arguments.count)) + arguments)
  }

  /// Calls a method of channel 1 and waits for its answer, which has the next number.
  func call(_ group: UInt16, _ method: UInt16, _ arguments: [UInt8]) {
    send(1, group, method, arguments)
    expect(group, method + 1)
  }

  private func send(_ channel: UInt16, _ group: UInt16, _ method: UInt16, _ arguments: [UInt8]) {
    out.append(Self.frame(1, Self.bytes(group) + Self.bytes(method) + arguments, channel: channel))
    connection.send(&out)
  }

  private func expect(_ group: UInt16, _ method: UInt16) {
    while true {
      var found: (UInt16, UInt16)?
      takeFrames(limit: 1) { _, payload in found = (Self.short(payload, 0), Self.short(payload, 2)) }
      if let found {
        if found == (group, method) { return }
        fail("RabbitMQ answers with method \(found), not \((group, method))")
      }
      guard connection.receive() else { fail("RabbitMQ does not answer") }
    }
  }

  /// Takes the whole frames that were received, at most `limit`; heartbeats are left out.
  func takeFrames(limit: Int = .max, _ use: (_ kind: UInt8, _ payload: UnsafeRawBufferPointer) -> Void) {
    var taken = 0
    while taken < limit {
      let bytes = connection.unread
      guard bytes.count >= 8 else { return }
      let size = Int(Self.short(bytes, 3)) << 16 | Int(Self.short(bytes, 5))
      guard bytes.count >= size + 8 else { return }
      if bytes[0] != 8 { use(bytes[0], UnsafeRawBufferPointer(rebasing: bytes[7..<7 + size])) }
      connection.take(size + 8)
      taken += 1
    }
  }
}

// MARK: - Bytes

extension AMQPWire {
  /// Publish to the default exchange, for the queue `waiting`.
  static let publish = frame(1, [0, 60, 0, 40, 0, 0] + text("") + text("waiting") + [0])
  /// The head of the frame of a body of `PeerBody.bytes`.
  static let bodyStart: [UInt8] = [3, 0, 1] + bytes(UInt32(PeerBody.bytes))

  /// A persistent message with an expiration: the content header.
  static func header(bodyBytes: Int, expiration: [UInt8]) -> [UInt8] {
    // Flags: delivery mode is bit 12, expiration bit 8.
    [0, 60, 0, 0] + bytes(UInt64(bodyBytes)) + [0x11, 0x00, 2, UInt8(expiration.count)] + expiration
  }

  static func frame(_ kind: UInt8, _ payload: [UInt8], channel: UInt16 = 1) -> [UInt8] {
    [kind] + bytes(channel) + bytes(UInt32(payload.count)) + payload + [0xCE]
  }

  static func text(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + Array(text.utf8) }
  /// A field value: a long string.
  static func longText(_ text: String) -> [UInt8] {
    [UInt8(ascii: "S")] + bytes(UInt32(text.utf8.count)) + Array(text.utf8)
  }

  static func bytes(_ number: some FixedWidthInteger) -> [UInt8] { withUnsafeBytes(of: number.bigEndian) { Array($0) } }
  static func short(_ bytes: UnsafeRawBufferPointer, _ place: Int) -> UInt16 {
    UInt16(bytes[place]) << 8 | UInt16(bytes[place + 1])
  }
  static func long(_ bytes: UnsafeRawBufferPointer, _ place: Int) -> UInt64 {
    bytes[place..<place + 8].reduce(0) { $0 << 8 | UInt64($1) }
  }
}

extension ByteBuffer {
  mutating func append(_ bytes: [UInt8]) { bytes.withUnsafeBytes { append($0) } }
}
