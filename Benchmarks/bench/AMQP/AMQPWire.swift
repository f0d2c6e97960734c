// The client side of AMQP 0-9-1, as far as the benchmarks need it: frames put together once by hand, so that the client is not what
// is slow.
//
// Holds: everything but what opens further channels goes over channel 1; an answer that is not the one asked for ends the program.
// Leaves to others: how a message is written (AMQPMessage), which messages are confirmed (AMQPConfirmed).

import Primitives

final class AMQPWire {
  let connection: LineConnection
  private var out = ByteBuffer()
  /// The tags of the last delivery taken, and of the last one acknowledged.
  var lastDelivered: UInt64 = 0
  var lastAcknowledged: UInt64 = 0

  /// Connects as guest, and opens the channels 1 to `channels`.
  init(port: UInt16, channels: UInt16 = 1, timeoutS: Int = 60) {
    connection = LineConnection(port: port, timeoutS: timeoutS)
    out.append(Array("AMQP".utf8) + [0, 0, 9, 1])
    connection.send(&out)
    expect(10, 10)
    let login = Array("\0guest\0guest".utf8)
    send(
      0, 10, 11, [0, 0, 0, 0] + Self.text("PLAIN") + [0, 0, 0, UInt8(login.count)] + login + Self.text("en_US"))
    expect(10, 30)
    // Frames of 128 KiB, no heartbeats.
    send(0, 10, 31, Self.bytes(channels) + [0, 2, 0, 0, 0, 0])
    send(0, 10, 40, Self.text("/") + [0, 0])
    expect(10, 41)
    for channel in 1...channels {
      send(channel, 20, 10, [0])
      expect(20, 11)
    }
  }

  /// Calls a method of channel 1 and waits for its answer, which has the next number; gives what the answer says.
  @discardableResult func call(_ group: UInt16, _ method: UInt16, _ arguments: [UInt8]) -> [UInt8] {
    send(1, group, method, arguments)
    return expect(group, method + 1)
  }

  /// Calls a method of channel 1 that has no answer.
  func sendWithoutAnswer(_ group: UInt16, _ method: UInt16, _ arguments: [UInt8]) { send(1, group, method, arguments) }

  private func send(_ channel: UInt16, _ group: UInt16, _ method: UInt16, _ arguments: [UInt8]) {
    out.append(Self.frame(1, Self.bytes(group) + Self.bytes(method) + arguments, channel: channel))
    connection.send(&out)
  }

  @discardableResult private func expect(_ group: UInt16, _ method: UInt16) -> [UInt8] {
    while true {
      var found: [UInt8]?
      takeFrames(limit: 1) { _, payload in found = Array(payload) }
      if let found {
        if found.starts(with: Self.bytes(group) + Self.bytes(method)) { return Array(found[4...]) }
        fail("the broker answers \(String(decoding: found, as: UTF8.self)), not with method \(group).\(method)")
      }
      guard connection.receive() else { fail("the broker does not answer") }
    }
  }

  /// Takes the whole frames that were received, at most `limit`; heartbeats are left out.
  func takeFrames(limit: Int = .max, _ use: (_ kind: UInt8, _ payload: UnsafeRawBufferPointer) -> Void) {
    var taken = 0
    while taken < limit {
      let bytes = connection.unread
      guard bytes.count >= 8 else { return connection.noteLookedAt() }
      let size = Int(Self.short(bytes, 3)) << 16 | Int(Self.short(bytes, 5))
      guard bytes.count >= size + 8 else { return connection.noteLookedAt() }
      if bytes[0] != 8 { use(bytes[0], UnsafeRawBufferPointer(rebasing: bytes[7..<7 + size])) }
      connection.take(size + 8)
      taken += 1
    }
  }
}

// MARK: - Bytes

extension AMQPWire {
  static let frameEnd: UInt8 = 0xCE

  static func frame(_ kind: UInt8, _ payload: [UInt8], channel: UInt16 = 1) -> [UInt8] {
    [kind] + bytes(channel) + bytes(UInt32(payload.count)) + payload + [frameEnd]
  }

  /// A field table.
  static func table(_ fields: [UInt8] = []) -> [UInt8] { bytes(UInt32(fields.count)) + fields }
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
