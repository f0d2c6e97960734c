// The TLS of one connection, and what of it the socket has not taken.

import Primitives
import TLS

/// The TLS of a connection.
package final class SecureSide {
  package let channel: TLSChannel
  /// By when its handshake must be done; nil once it is.
  package var openByMs: UnixMs?
  /// Sealed bytes that the socket has not taken.
  private var unsent = ByteBuffer()

  package init(_ channel: TLSChannel, openByMs: UnixMs) {
    self.channel = channel
    self.openByMs = openByMs
  }

  /// Sealed bytes that may be sent now; empty when there are none.
  package var sealed: UnsafeRawBufferPointer {
    if unsent.isEmpty {
      let count = channel.takeSealed(into: unsent.writable(Self.pieceBytes))
      unsent.commit(count)
      if count == 0 { unsent.shrink(keepingBytes: 0) }
    }
    return unsent.readable
  }

  package func didSend(_ count: Int) { unsent.consume(count) }

  var allocatedBytes: Int { unsent.allocatedBytes }

  /// Bytes that are sealed in one go: four records.
  package static let pieceBytes = 64 << 10
}
