// How much memory is in use, and that new messages are refused when it is too much.
//
// Holds: looked at four times a second at most, and only in turns that something else has brought about, or while messages are
// refused for it.
// Leaves to others: what a refusal looks like (the wires), what messages take (Broker).
//
// What is counted is what grows with messages and clients, not what the process has from the system: memory that was given
// back to the allocator is free to be used again, while the system still counts it.

import Primitives

extension Server {
  private static let memoryLookMs: Int64 = 250
  /// What a connection takes besides its bytes.
  private static let connectionBytes = 2048
  /// What the library keeps for a connection with TLS that rests.
  private static let tlsBytes = 24 << 10

  func watchMemory() {
    guard broker.nowMs >= nextMemoryLookMs else { return }
    nextMemoryLookMs = broker.nowMs + Self.memoryLookMs
    let connectionBytes = connections.values.reduce(0) { bytes, connection in
      bytes + Self.connectionBytes + connection.output.allocatedBytes + connection.session.any.inputBytes
        + (connection.secure.map { $0.allocatedBytes + Self.tlsBytes } ?? 0)
    }
    services.memoryBytes = broker.memoryBytes + connectionBytes
    let limit = settings.memoryBytesMax
    // Some room is made before messages are taken again, so that the two do not alternate.
    let isFull = services.memoryBytes > (broker.isMemoryFull ? limit - limit / 16 : limit)
    guard isFull != broker.isMemoryFull else { return }
    broker.isMemoryFull = isFull
    if isFull {
      log(.warning, "memory_full", "\(services.memoryBytes) bytes are in use: new messages are refused with 'busy'")
    } else {
      log(.info, "memory_free", "\(services.memoryBytes) bytes are in use: new messages are taken again")
    }
  }
}
