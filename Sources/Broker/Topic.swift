// A topic: its log, its groups, and who reads it without a group.
//
// No exclusivity checks on what every message touches: one thread owns it, and the checks took 13 % of a burst's time.

import Primitives
import TopicLog

/// A named log of released messages.
public final class Topic {
  /// Never used again, not even by a later topic of the same name.
  public let number: UInt32
  /// The name.
  public let name: String
  /// The name's bytes.
  public let nameBytes: [UInt8]
  /// The released messages.
  public let log: TopicLog
  /// How long messages are kept.
  public internal(set) var retentionMs: Int64
  /// How many bytes are kept.
  public internal(set) var retentionBytes: Int64
  /// Messages scheduled into this topic and not released.
  @exclusivity(unchecked) public internal(set) var pendingCount = 0
  /// False once it was deleted.
  @exclusivity(unchecked) public internal(set) var isAlive = true
  /// The journal record behind the newest message: nothing of the topic may be shown before it is settled.
  @exclusivity(unchecked) public internal(set) var appendSequence: Sequence = 0
  @exclusivity(unchecked) var groups: [Group] = []
  @exclusivity(unchecked) var tails: [Consumer] = []
  /// Connections whose command waits for a chunk of this log.
  var waitingConnections: [UInt64] = []

  /// Whether it keeps a message until it is acknowledged: then it belongs to a front end, by whose ways it is used.
  public var isQueue: Bool { retentionMs == QueueContents.retentionMs }

  /// After how long a segment takes no more: a quarter of the retention, so that a message stays at most that much longer
  /// than it must.
  var sealAfterMs: Int64 { max(1000, retentionMs / 4) }

  init(number: UInt32, name: String, log: TopicLog, retentionMs: Int64, retentionBytes: Int64) {
    self.number = number
    self.name = name
    nameBytes = Array(name.utf8)
    self.log = log
    self.retentionMs = retentionMs
    self.retentionBytes = retentionBytes
  }
}
