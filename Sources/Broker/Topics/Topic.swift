// A topic: its log, its groups, and who reads it without a group.
//
// Holds: a topic is alive until it is deleted; when the record `restsOn` is settled, everything in its log may be shown: after
// any crash it is there again, at the same offsets (`noteReleased` says why).
// Leaves to others: which topics there are (Topics), what groups and consumers do (Groups).
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
  /// How long messages are kept, in ms.
  public let retentionMs: Int64
  /// How many bytes are kept.
  public let retentionBytes: Int64
  /// Messages scheduled into this topic and not released.
  @exclusivity(unchecked) public private(set) var pendingCount = 0
  /// About how many bytes they have: one that is withdrawn from disk counts as the average of those that are there, as
  /// looking at it would take a read.
  @exclusivity(unchecked) public private(set) var pendingBytes = 0
  /// False once it was deleted.
  @exclusivity(unchecked) public private(set) var isAlive = true
  /// The last record that what is in the log follows from; a release is none of them. Nothing of the topic may be shown before
  /// it is settled.
  @exclusivity(unchecked) public private(set) var restsOn: Sequence = 0
  /// The earliest time of the messages that were withdrawn since a release has reached such a time; and the last record that
  /// withdrew one.
  @exclusivity(unchecked) private var withdrawnMs = UnixMs.max
  @exclusivity(unchecked) private var withdrawnBy: Sequence = 0
  /// Its groups, in the order in which they were made.
  @exclusivity(unchecked) private(set) var groups: [Group] = []
  /// Its private tails.
  @exclusivity(unchecked) private(set) var tails: [Consumer] = []
  /// Connections whose command waits for a part of the log that is on disk.
  @exclusivity(unchecked) private var waitingConnections: [UInt64] = []
  /// Connections that want to know of the next message.
  @exclusivity(unchecked) private var watchers: Set<UInt64> = []

  init(number: UInt32, name: String, log: TopicLog, retentionMs: Int64, retentionBytes: Int64) {
    self.number = number
    self.name = name
    nameBytes = Array(name.utf8)
    self.log = log
    self.retentionMs = retentionMs
    self.retentionBytes = retentionBytes
  }

  /// The retention of a queue: messages are kept until they are acknowledged.
  static let retentionMsOfQueues: Int64 = -1

  /// The retention of a relay: messages are kept until they are passed on.
  static let retentionMsOfRelays: Int64 = -2

  /// Whether a topic of this retention is a queue's.
  static func isQueue(retentionMs: Int64) -> Bool {
    retentionMs == retentionMsOfQueues || retentionMs == retentionMsOfRelays
  }

  /// Whether it is the topic of a queue, which keeps its messages until they are acknowledged.
  public var isQueue: Bool { Self.isQueue(retentionMs: retentionMs) }

  /// Whether it is the topic of a relay: a queue in which messages are pending, and that passes each on when it is released.
  public var isRelay: Bool { retentionMs == Self.retentionMsOfRelays }

  /// After how long a segment takes no more: a quarter of the retention, so that a message stays at most that much longer
  /// than it must.
  var sealAfterMs: Int64 { max(1000, retentionMs / 4) }

  // MARK: Changes

  /// The newest message was appended by the record `sequence`, which decided that.
  @inline(__always) func noteAppended(by sequence: Sequence) { restsOn = sequence }

  /// The newest message was released. Its release decides nothing: whoever knows all records but the releases makes the same
  /// ones again, in the same order. So the message rests on the record that accepted it, and on those that withdrew messages
  /// in front of it.
  ///
  /// - Parameters:
  ///   - leaveMs: its place in the order of release.
  ///   - sequence: its own sequence, which names the record that accepted it.
  @inline(__always) func noteReleased(leaveMs: UnixMs, sequence: Sequence) {
    restsOn = max(restsOn, MessageSequence.record(of: sequence))
    if leaveMs >= withdrawnMs { noteWithdrawalReached() }
  }

  private func noteWithdrawalReached() {
    restsOn = max(restsOn, withdrawnBy)
    withdrawnMs = .max
  }

  /// A pending message that was to leave at `leaveMs`, or later, was withdrawn by the record `sequence`.
  @inline(__always) func noteWithdrawn(leaveMs: UnixMs, by sequence: Sequence) {
    withdrawnMs = min(withdrawnMs, leaveMs)
    withdrawnBy = sequence
  }

  @inline(__always) func addPending(bytes: Int) {
    pendingCount += 1
    pendingBytes += bytes
  }

  /// At a start that has not seen the messages themselves.
  func setPending(_ messages: Int, bytes: Int) {
    pendingCount = messages
    pendingBytes = bytes
  }

  /// - Parameter bytes: nil when they are not known.
  @inline(__always) func removePending(bytes: Int?) {
    let gone = bytes ?? pendingBytes / max(1, pendingCount)
    pendingCount -= 1
    pendingBytes = pendingCount == 0 ? 0 : max(0, pendingBytes - gone)
  }

  func add(_ group: Group) { groups.append(group) }

  func add(tail consumer: Consumer) { tails.append(consumer) }

  func remove(tail consumer: Consumer) { tails.removeAll { $0 === consumer } }

  /// The command of a connection waits until a part of the log has come from disk.
  func wait(_ connection: UInt64) { waitingConnections.append(connection) }

  /// Gives the connections that wait, and forgets them.
  func takeWaiting() -> [UInt64] {
    defer { waitingConnections = [] }
    return waitingConnections
  }

  /// Something was appended, or it is deleted: gives the connections that wanted to know, and forgets them.
  func takeWatchers() -> [UInt64] {
    defer { watchers = [] }
    return watchers.sorted()
  }

  /// Whether some connection wants to know of the next message.
  @inline(__always) var isWatched: Bool { !watchers.isEmpty }

  func addWatcher(_ connection: UInt64) { watchers.insert(connection) }

  func removeWatcher(_ connection: UInt64) { watchers.remove(connection) }

  /// It was deleted.
  func end() { isAlive = false }
}
