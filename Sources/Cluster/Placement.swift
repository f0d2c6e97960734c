// Which node should lead a shard: the same answer on every node, and few moves when a node comes or goes.
//
// Holds: the order depends on the names alone, not on the order in which they are given; when a node is taken out, the others
// keep theirs.
// Leaves to others: which nodes there are, and when to move (Leadership).
// Source: Thaler & Ravishankar 1996, rendezvous hashing.

import Primitives

/// The order of the nodes for each shard.
public enum Placement {
  /// The nodes in the order in which they should lead a shard: the first one is preferred. O(nodes × log nodes).
  public static func order(ofShard shard: Int, nodes: [String]) -> [String] {
    let hash = SipHash128(key0: UInt64(shard), key1: 0x7368_6172_64)
    let weighed = Set(nodes).map { node in
      var node = node
      return (weight: node.withUTF8 { hash.hash(topic: 0, id: UnsafeRawBufferPointer($0)).low }, name: node)
    }
    return weighed.sorted { ($0.weight, $0.name) > ($1.weight, $1.name) }.map(\.name)
  }
}
