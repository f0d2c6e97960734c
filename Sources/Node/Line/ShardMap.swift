// The answer to `shards`: what this node knows of each shard.

import LineProtocol
import Primitives

enum ShardMap {
  static func append(_ views: [ShardView], of node: String, rid: UnsafeRawBufferPointer?, to out: inout ByteBuffer) {
    out.beginReply(rid: rid)
    out.append(",\"node\":")
    out.appendJSONString(node)
    out.append(",\"shards\":[")
    for (place, view) in views.enumerated() {
      if place > 0 { out.append(",") }
      append(view, to: &out)
    }
    out.append("]")
    out.endLine()
  }

  private static func append(_ view: ShardView, to out: inout ByteBuffer) {
    let (status, position) = (view.status, view.status.position)
    out.append("{\"shard\":")
    out.appendInteger(Int64(view.number))
    out.append(",\"role\":")
    out.appendJSONString(view.role)
    if let leader = status.leader {
      out.append(",\"leader\":")
      out.appendJSONString(leader.node)
      out.append(",\"address\":")
      out.appendJSONString(NodePlaces(leader.address).line)
    }
    append("epoch", position.epoch, to: &out)
    append("index", position.index, to: &out)
    append("record", position.nextRecord - 1, to: &out)
    out.append(",\"isCurrent\":")
    out.appendBoolean(status.isCurrent && status.isConnected)
    append("void", UInt64(status.voidCount), to: &out)
    append("streamBytes", status.streamBytes, to: &out)
    out.append(",\"nodes\":[")
    for (place, node) in status.nodes.enumerated() {
      if place > 0 { out.append(",") }
      out.append("{\"node\":")
      out.appendJSONString(node.name)
      out.append(",\"address\":")
      out.appendJSONString(NodePlaces(node.address).line)
      append("sequence", node.streamSequence, to: &out)
      out.append("}")
    }
    out.append("]")
    if let digest = view.digest {
      append("digestRecord", digest.record, to: &out)
      out.append(",\"digest\":")
      out.appendJSONString(String(digest.hash, radix: 16))
    }
    if let problem = view.stopReason ?? status.problem {
      out.append(",\"problem\":")
      out.appendJSONString(problem)
    }
    out.append("}")
  }

  private static func append(_ name: StaticString, _ value: UInt64, to out: inout ByteBuffer) {
    out.append(",\"")
    out.append(name)
    out.append("\":")
    out.appendInteger(value)
  }
}
