// What a node's log says of itself, for the loop and for people.
//
// Leaves to others: showing it.

import Primitives

/// What a node is to its log.
public enum ReplicationRole: Equatable, Sendable {
  /// It reads what another one writes.
  case following
  /// It leads: the epoch is its own, and all before it is read.
  case leading(epoch: UInt64)
  /// It led, and does not any more: another one does, or will. The engine starts again from its checkpoint.
  case deposed
  /// It can neither read nor write: `ReplicationStatus.problem` says why.
  case stopped
}

/// Why a node stops reading its log.
public enum LogStop: Equatable, Sendable {
  /// The stream, or what this node knows, is not what was written. Needs an operator.
  case damaged
  /// The stream belongs to another log. Needs an operator.
  case foreign
  /// The stream does not go back as far as this node's checkpoint. It needs the checkpoint of another node.
  case truncated
}

/// What a node's log says of itself.
public struct ReplicationStatus: Sendable {
  /// What the node is.
  public internal(set) var role = ReplicationRole.following
  /// Why it is `stopped`.
  public internal(set) var stop: LogStop?
  /// What an operator must know, if anything.
  public internal(set) var problem: String?
  /// Whether the first epoch was read, so that it is known whose log it is.
  public internal(set) var isIdentified = false
  /// Whether the end of the stream was reached once.
  public internal(set) var isCurrent = false
  /// Whether the stream can be reached.
  public internal(set) var isConnected = false
  /// Who leads, as far as is known: node and address.
  public internal(set) var leader: EpochStart?
  /// How far it has read.
  public internal(set) var position = FoldPosition()
  /// The newest service time of the log.
  public internal(set) var serviceMs: UnixMs = 0
  /// Entries read that counted.
  public internal(set) var validCount = 0
  /// Entries read that did not count: what leaders had on their way when they were deposed.
  public internal(set) var voidCount = 0
  /// Whether this node's clock differs too much from the leader's for it to campaign in time.
  public internal(set) var isClockOff = false
  /// About how many bytes the stream takes.
  public internal(set) var streamBytes: UInt64 = 0
  /// What this node has to tell the leader: at once when it differs from what was told last, or when another one leads, and
  /// each minute.
  public internal(set) var checkpoint: CheckpointNote
  /// The nodes that were heard in the log lately, by name; a second old at most.
  public internal(set) var nodes: [KnownNode] = []
  /// Of a leader: the node that should lead instead and is ready to. The owner gives it the leadership (`Shard.resign`), one
  /// shard at a time.
  public internal(set) var preferredLeader: String?

  init(checkpoint: CheckpointNote) { self.checkpoint = checkpoint }
}
