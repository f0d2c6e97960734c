// A connection of a client that goes on to another node: asked for in one line of the line protocol, then bytes both ways.
//
//     {"op":"cluster.splice","secret":"…","shard":3,"wire":"amqp","address":"192.0.2.7"}
//     {"ok":true}
//
// `address` is where the client is.
//
// Leaves to others: answering it (LineRelay), moving bytes (Front).

import LineProtocol
import Platform
import Primitives
import Server

/// What is said at the beginning of a connection to another node, and what waits until it is answered.
final class Splice {
  /// Bytes for the other side, to be sent when it has agreed.
  var waiting = ByteBuffer()
  /// What has come of its answer.
  private var answer: [UInt8] = []

  /// The line that asks for it.
  static func append(
    shard: Int, wire: Wire, secret: String?, peer: PeerAddress, to out: inout ByteBuffer
  ) {
    out.append("{\"op\":\"cluster.splice\",\"shard\":")
    out.appendInteger(Int64(shard))
    out.append(",\"wire\":")
    out.appendJSONString(wire.settingName)
    out.append(",\"address\":")
    out.appendJSONString(peer.description)
    NodeSecret.append(secret, to: &out)
    out.append("}\n")
  }

  /// Whether the other side has agreed: nil while it has not answered. What stands behind its answer is cut off `bytes`.
  func agreed(_ bytes: inout UnsafeRawBufferPointer) -> Bool? {
    guard let newline = bytes.firstIndex(of: UInt8(ascii: "\n")) else {
      answer += bytes
      bytes = UnsafeRawBufferPointer(rebasing: bytes[bytes.count...])
      return answer.count > 4096 ? false : nil
    }
    answer += bytes[..<newline]
    bytes = UnsafeRawBufferPointer(rebasing: bytes[(newline + 1)...])
    return answer.starts(with: "{\"ok\":true".utf8)
  }
}

/// What nodes show to each other.
enum NodeSecret {
  static func append(_ secret: String?, to out: inout ByteBuffer) {
    guard let secret else { return }
    out.append(",\"secret\":")
    out.appendJSONString(secret)
  }

  /// Whether whoever shows this is a node. Without a secret, everybody on this machine is.
  static func isGood(_ shown: UnsafeRawBufferPointer?, _ secret: String?, from peer: PeerAddress) -> Bool {
    guard let secret else { return peer.isLoopback }
    guard let shown else { return false }
    return Admission.isSame(secret, shown)
  }
}
