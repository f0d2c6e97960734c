// The nodes of a log, known by the log alone: whoever was heard lately belongs to it.
//
// Holds: the last word of each node, as long as it is not older than the settings say.
// Leaves to others: what follows for the stream (Truncation), for campaigns (Placement) and for moves (ReplicatedLog).

import Primitives

/// A node that was heard in the log.
public struct KnownNode: Equatable, Sendable {
  /// What it said last.
  public var note: CheckpointNote
  /// When that was folded here, by the boot-time clock.
  public var heardNs: Int64

  /// Its name.
  public var name: String { note.node }
}

/// The nodes that were heard.
struct KnownNodes: Sendable {
  /// Who has said nothing for so long does not count.
  let silentNs: Int64
  private var nodes: [String: KnownNode] = [:]

  init(silentNs: Int64) { self.silentNs = silentNs }

  /// A valid `checkpointed` entry was folded. The last word counts, even if it tells of less: a node may have lost its disk.
  mutating func heard(_ note: CheckpointNote, nowNs: Int64) {
    nodes[note.node] = KnownNode(note: note, heardNs: nowNs)
  }

  /// Those that count, by name. O(nodes × log nodes).
  func alive(nowNs: Int64) -> [KnownNode] {
    nodes.values.filter { nowNs - $0.heardNs <= silentNs }.sorted { $0.name < $1.name }
  }
}
