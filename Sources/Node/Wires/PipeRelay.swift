// Bytes between a client and one shard, as they are.

import Platform
import Primitives
import Server

/// Carries bytes both ways; ends when either side does.
final class PipeRelay: Relay {
  private unowned let connection: FrontConnection
  private let shard: Int

  /// - Precondition: the connection has come to the shard already.
  init(_ connection: FrontConnection, to shard: Int) {
    self.connection = connection
    self.shard = shard
    // Who does not say who it is is the session's matter.
    connection.openByMs = nil
  }

  /// One to a shard that is looked for; nil when nobody is known to lead it.
  static func begin(_ front: Front, _ connection: FrontConnection, to shard: Int, _ wire: Wire) -> PipeRelay? {
    front.reach(shard, wire, for: connection) ? PipeRelay(connection, to: shard) : nil
  }

  var heldBytes: Int { 0 }
  func clientSent(_ bytes: UnsafeRawBufferPointer) { connection.send(to: shard, bytes) }
  func clientEnded() { connection.endOutput(to: shard) }
  func shardSent(_ shard: Int, _ bytes: UnsafeRawBufferPointer) { connection.send(bytes) }
  func shardEnded(_ shard: Int) { connection.close() }
}
