// The network as a test says it is: bytes that a server "sends", and those that the client has sent.

import NATS
import Platform

final class ScriptedTransport: NATSTransport {
  /// The servers that were connected to, in order.
  private(set) var opened: [ServerAddress] = []
  /// Ports that refuse connections at once.
  var refusedPorts: Set<UInt16> = []
  private(set) var isOpen = false
  /// What the client has sent in this connection and the test has not looked at.
  private(set) var sent: [UInt8] = []
  /// How many more bytes the network takes.
  var room = Int.max
  /// How many bytes come with one read at most.
  var readBytesMax = Int.max
  private var incoming: [UInt8] = []
  private var hasEnded = false

  /// The server says something.
  func say(_ bytes: some Swift.Sequence<UInt8>) { incoming += bytes }
  func say(_ text: String) { say(text.utf8) }

  /// The server closes, behind what it has said.
  func end() { hasEnded = true }

  /// What the client has sent since the last time, as text.
  func takeSent() -> String {
    defer { sent = [] }
    return String(decoding: sent, as: UTF8.self)
  }

  func open(_ address: ServerAddress) throws(SystemError) {
    opened.append(address)
    if refusedPorts.contains(address.port) { throw SystemError(operation: "connect to \(address)", number: 111) }
    (isOpen, hasEnded, incoming, sent) = (true, false, [], [])
  }

  func read(into buffer: UnsafeMutableRawBufferPointer) -> TransferResult {
    guard isOpen else { return .closed }
    let count = min(buffer.count, incoming.count, readBytesMax)
    guard count > 0 else { return hasEnded ? .closed : .wouldBlock }
    buffer.copyBytes(from: incoming[..<count])
    incoming.removeFirst(count)
    return .bytes(count)
  }

  func write(_ bytes: UnsafeRawBufferPointer) -> TransferResult {
    guard isOpen, !hasEnded else { return .closed }
    let count = min(bytes.count, room)
    guard count > 0 else { return .wouldBlock }
    sent += bytes[..<count]
    if room != .max { room -= count }
    return .bytes(count)
  }

  func close() { isOpen = false }
}
