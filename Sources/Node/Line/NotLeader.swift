// What is told to clients of a shard that this node does not lead: who does, as far as is known.

import LineProtocol
import Primitives

/// The refusal, and the event before a connection is closed.
struct NotLeader {
  private let shard: Int
  /// Nil while nobody is known to lead, but perhaps this node before.
  private let address: String?
  private let epoch: UInt64

  init(_ view: ShardView, _ node: String) {
    shard = view.number
    address = view.leader(otherThan: node).map { NodePlaces($0.address).line }
    epoch = view.status.position.epoch
  }

  private func appendPlace(to out: inout ByteBuffer) {
    out.append(",\"shard\":")
    out.appendInteger(Int64(shard))
    if let address {
      out.append(",\"address\":")
      out.appendJSONString(address)
    }
    out.append(",\"epoch\":")
    out.appendInteger(epoch)
  }

  func append(to out: inout ByteBuffer, rid: UnsafeRawBufferPointer?) {
    let place = address.map { "it is led by the node at \($0)" } ?? "nobody is known to lead it yet; ask again soon"
    out.beginRefusal(Refusal(code: .notLeader, message: "this belongs to shard \(shard), and \(place)"), rid: rid)
    appendPlace(to: &out)
    out.endLine()
  }

  func appendEvent(to out: inout ByteBuffer) {
    out.append("{\"event\":\"not_leader\"")
    appendPlace(to: &out)
    out.append("}\n")
  }
}
