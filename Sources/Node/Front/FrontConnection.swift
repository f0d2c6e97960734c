// A client of the node, and the shards that its connection has come to.

import Platform
import Primitives
import Server

/// What relays one wire protocol between a client and shards.
protocol Relay: AnyObject {
  /// Bytes of the client.
  func clientSent(_ bytes: UnsafeRawBufferPointer)
  /// The client sends nothing more.
  func clientEnded()
  /// Bytes of a shard.
  func shardSent(_ shard: Int, _ bytes: UnsafeRawBufferPointer)
  /// A shard has closed: it is led elsewhere, or the session there has ended.
  func shardEnded(_ shard: Int)
  /// Bytes that wait inside.
  var heldBytes: Int { get }
}

/// A client's connection.
final class FrontConnection {
  /// Where the client is.
  let peer: PeerAddress
  let front: Front
  private(set) var client: FrontSocket?
  /// The sockets to shards, by number.
  private(set) var shards: [Int: FrontSocket] = [:]
  var relay: (any Relay)?
  /// When the connection is closed unless it has said by then what it wants, in ms since boot.
  var openByMs: Int64?
  /// In the list of connections that this turn has to do with.
  var isTouched = false

  init(_ front: Front, _ peer: PeerAddress) {
    self.front = front
    self.peer = peer
  }

  func begin(_ client: FrontSocket) { self.client = client }

  /// Sends to the client.
  func send(_ bytes: UnsafeRawBufferPointer) {
    client?.output.append(bytes)
    front.touch(self)
  }

  /// Sends what `write` writes.
  func send(_ write: (inout ByteBuffer) -> Void) {
    guard let client else { return }
    write(&client.output)
    front.touch(self)
  }

  /// Sends to a shard that is open.
  func send(to shard: Int, _ bytes: UnsafeRawBufferPointer) {
    guard let socket = shards[shard] else { return }
    if let splice = socket.splice { splice.waiting.append(bytes) } else { socket.output.append(bytes) }
    front.touch(self)
  }

  /// Tells a shard that the client sends nothing more.
  func endOutput(to shard: Int) {
    guard let socket = shards[shard] else { return }
    socket.endsOutput = true
    front.touch(self)
  }

  /// The other node has agreed: what waits for that goes.
  func spliced(_ socket: FrontSocket) {
    guard let splice = socket.splice else { return }
    socket.splice = nil
    socket.output.append(splice.waiting.readable)
    front.touch(self)
  }

  func add(_ socket: FrontSocket, shard: Int) { shards[shard] = socket }
  func remove(shard: Int) -> FrontSocket? { shards.removeValue(forKey: shard) }

  /// Closes once everything is sent; what shards still say is dropped.
  func close() {
    client?.closesWhenSent = true
    front.touch(self)
  }

  /// The client may send more.
  var takesInput: Bool {
    guard let client, !client.inputEnded, !client.closesWhenSent else { return false }
    return client.output.count + (relay?.heldBytes ?? 0) < Front.unsentBytesMax
      && shards.values.allSatisfy { $0.output.count + ($0.splice?.waiting.count ?? 0) < Front.unsentBytesMax }
  }

  /// Shards may send more.
  var takesOutput: Bool { (client?.output.count ?? 0) + (relay?.heldBytes ?? 0) < 2 * Front.unsentBytesMax }
}
