// The client's end of an AMQP connection in memory: methods out, methods and messages in.
//
// Holds: what the server writes is heard when it is written; what a client does about it waits until it has read so far.
// Leaves to others: what is said (AMQPClient, AMQPFuzzTests).

import AMQPProtocol
import Primitives

/// What a server says.
struct HeardMethod {
  var method: Method
  var channel: UInt16
  /// The fields, as in the frame.
  var fields: [UInt8]
  /// Of a message.
  var body: [UInt8] = []

  /// Gives the fields to `body`; they are views of what was heard.
  func decoded<Fields: MethodFields, Result>(_: Fields.Type, _ body: (Fields) -> Result) -> Result? {
    let payload = [UInt8](
      [method.classID, method.methodID].flatMap { [UInt8($0 >> 8), UInt8(truncatingIfNeeded: $0)] } + fields)
    return payload.withUnsafeBytes { bytes in
      guard let frame = try? MethodFrame(bytes), let decoded: Fields = try? frame.decode() else { return nil }
      return body(decoded)
    }
  }
}

/// A connection.
final class AMQPPeer {
  let socket: SimulatedSocket
  private var heard: [UInt8] = []
  private var unfinished: [UInt16: (method: HeardMethod, bytes: Int)] = [:]
  private var heardBytes = 0
  private var readBytes = 0
  private var toRead: [(end: Int, act: () -> Void)] = []
  private let hear: (HeardMethod) -> Void

  init(_ network: SimulatedNetwork, listener: Int, hear: @escaping (HeardMethod) -> Void) {
    socket = network.connect(to: listener)
    self.hear = hear
    socket.onWrite = { [unowned self] bytes in take(bytes) }
  }

  // MARK: Out

  func send(_ bytes: [UInt8]) { socket.onTheWay += bytes }

  func send(_ build: (inout ByteBuffer) -> Void) { send(Self.bytes(build)) }

  static func bytes(_ build: (inout ByteBuffer) -> Void) -> [UInt8] {
    var out = ByteBuffer()
    build(&out)
    return Array(out.readable)
  }

  /// Everything up to an open connection, as a client that does not wait for answers.
  static func opening(heartbeatSeconds: UInt16 = 0, password: String = "guest") -> [UInt8] {
    bytes { out in
      out.appendProtocolHeader()
      "PLAIN".withBytes { mechanism in
        "\0guest\0\(password)".withBytes { response in
          "en_US".withBytes { locale in
            out.append(
              ConnectionStartOk {
                $0.mechanism = mechanism
                $0.response = response
                $0.locale = locale
              }, channel: 0)
          }
        }
      }
      out.append(
        ConnectionTuneOk {
          $0.channelMax = 2047
          $0.frameBytesMax = 4096
          $0.heartbeatSeconds = heartbeatSeconds
        }, channel: 0)
      "/".withBytes { host in out.append(ConnectionOpen { $0.virtualHost = host }, channel: 0) }
    }
  }

  // MARK: In

  /// Calls `act` when the client has read what it hears now.
  func whenRead(_ act: @escaping () -> Void) { toRead.append((heardBytes, act)) }

  /// Reads up to `count` bytes.
  func read(_ count: Int) {
    guard !socket.isReset else { return }
    let count = min(count, socket.unread)
    socket.unread -= count
    readBytes += count
    while let first = toRead.first, first.end <= readBytes {
      toRead.removeFirst()
      first.act()
    }
  }

  private func take(_ bytes: UnsafeRawBufferPointer) {
    heard += bytes
    heardBytes += bytes.count
    var start = 0
    while heard.count - start >= 8 {
      // A protocol header is the server's answer to another one.
      if heard[start] == UInt8(ascii: "A") {
        start += 8
        continue
      }
      let size = heard[start + 3..<start + 7].reduce(0) { $0 << 8 | Int($1) }
      guard heard.count - start >= size + 8 else { break }
      precondition(heard[start + size + 7] == 0xCE, "a frame ends in its octet")
      let channel = UInt16(heard[start + 1]) << 8 | UInt16(heard[start + 2])
      take(heard[start], channel, heard[start + 7..<start + 7 + size])
      start += size + 8
    }
    heard.removeFirst(start)
  }

  private func take(_ kind: UInt8, _ channel: UInt16, _ payload: ArraySlice<UInt8>) {
    switch FrameKind(rawValue: kind) {
    case .method?:
      let method = payload.withUnsafeBytes { try? MethodFrame($0).method }
      guard let method else { preconditionFailure("the server sends methods that there are") }
      let heard = HeardMethod(method: method, channel: channel, fields: Array(payload.dropFirst(4)))
      if method.carriesContent { unfinished[channel] = (heard, -1) } else { hear(heard) }
    case .header?:
      let size = payload.dropFirst(4).prefix(8).reduce(0) { $0 << 8 | Int($1) }
      unfinished[channel]?.bytes = size
      finish(channel)
    case .body?:
      unfinished[channel]?.method.body += payload
      finish(channel)
    case .heartbeat?: return
    case nil: preconditionFailure("the server sends frames that there are")
    }
  }

  private func finish(_ channel: UInt16) {
    guard let (method, bytes) = unfinished[channel], method.body.count == bytes else { return }
    unfinished[channel] = nil
    hear(method)
  }
}
