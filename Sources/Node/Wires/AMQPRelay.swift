// AMQP at the front of a node: the handshake up to the virtual host, which says the shard; from there on bytes as they are.
//
// The node answers the client as the session behind would. When the client opens its virtual host, all that it has sent goes to
// the shard, and the two methods by which the session there answers what was answered already are dropped.
//
// Holds: who the client is, is judged by the session behind alone.
// Leaves to others: everything behind `connection.open`.

import AMQPProtocol
import LineProtocol
import Primitives
import Server

/// Relays a connection of AMQP.
final class AMQPRelay: Relay {
  private let front: Front
  private unowned let connection: FrontConnection
  private var frames = FrameReader()
  /// All that the client has sent, until it has come to a shard.
  private var kept: [UInt8] = []
  private var shard: Int?
  /// What the session has sent of the methods that are dropped; nil once they are.
  private var dropping: [UInt8]? = []

  /// The most that a handshake takes: the client's properties may be long.
  private static let handshakeBytesMax = 256 << 10

  init(_ front: Front, _ connection: FrontConnection) {
    self.front = front
    self.connection = connection
  }

  var heldBytes: Int { 0 }

  func clientSent(_ bytes: UnsafeRawBufferPointer) {
    if let shard { return connection.send(to: shard, bytes) }
    kept += bytes
    guard kept.count <= Self.handshakeBytesMax else { return connection.close() }
    frames.append(bytes)
    do throws(AMQPFault) {
      while shard == nil {
        switch try frames.next() {
        case .needsMore: return
        case .opened: connection.send { AMQPHandshake.appendStart(to: &$0) }
        case .foreignProtocol:
          connection.send { $0.appendProtocolHeader() }
          return connection.close()
        case .frame(let frame): try take(frame)
        }
      }
    } catch {
      // Whatever is wrong, the session behind says it best: any shard's does.
      go(to: 0)
    }
  }

  private func take(_ frame: Frame) throws(AMQPFault) {
    guard frame.kind == .method, frame.channel == 0 else { return }
    let method = try MethodFrame(frame.payload)
    switch method.method {
    case .connectionStartOk: connection.send { AMQPHandshake.appendTune(to: &$0) }
    case .connectionTuneOk: return
    case .connectionOpen:
      let open: ConnectionOpen = try method.decode()
      go(to: front.places.shard(ofVirtualHost: open.virtualHost))
    default: go(to: 0)
    }
  }

  private func go(to shard: Int) {
    guard front.reach(shard, .amqp, for: connection) else { return connection.close() }
    self.shard = shard
    connection.openByMs = nil
    kept.withUnsafeBytes { connection.send(to: shard, $0) }
    kept = []
  }

  func clientEnded() {
    guard let shard else { return connection.close() }
    connection.endOutput(to: shard)
  }

  func shardSent(_ shard: Int, _ bytes: UnsafeRawBufferPointer) {
    guard dropping != nil else { return connection.send(bytes) }
    dropAnswers(bytes)
  }

  /// Passes what comes behind `connection.start` and `connection.tune`.
  private func dropAnswers(_ bytes: UnsafeRawBufferPointer) {
    guard var begun = dropping else { return connection.send(bytes) }
    begun += bytes
    while let answer = Self.wholeFrame(begun), answer.isAnswered {
      begun.removeFirst(answer.count)
    }
    guard Self.wholeFrame(begun) != nil else {
      dropping = begun
      return
    }
    dropping = nil
    begun.withUnsafeBytes { connection.send($0) }
  }

  /// The frame in front when it is whole: its length, and whether the node has said that already.
  private static func wholeFrame(_ bytes: [UInt8]) -> (count: Int, isAnswered: Bool)? {
    guard bytes.count >= 7 else { return nil }
    let payloadBytes = bytes[3..<7].reduce(0) { $0 << 8 | Int($1) }
    let count = payloadBytes + Frame.overheadBytes
    guard bytes.count >= count else { return nil }
    guard payloadBytes >= 4, let method = bytes[7..<11].withUnsafeBytes({ try? MethodFrame($0).method }) else {
      return (count, false)
    }
    return (count, method == .connectionStart || method == .connectionTune)
  }

  func shardEnded(_ shard: Int) { connection.close() }
}
