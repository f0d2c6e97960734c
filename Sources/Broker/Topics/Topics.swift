// The topics: which there are, by number and by name, and how old their messages may become.
//
// Holds: numbers grow and are never used again; a name has one topic at most; every topic in the table is alive.
// Leaves to others: what is pending for a topic, its groups and consumers, what a queue does with its log.
//
// No exclusivity checks on what every message touches: one thread owns it, and the checks took 13 % of a burst's time.

import DataFiles
import Primitives
import TopicLog

/// All topics.
final class Topics {
  let settings: BrokerSettings
  let turn: Turn
  private let hasher: SipHash128
  private let cache: ChunkCache
  private let io: any IOQueue
  @exclusivity(unchecked) private var byNumber: [UInt32: Topic] = [:]
  @exclusivity(unchecked) private var byName: [IDHash: Topic] = [:]
  /// The topic that was found last: messages that follow each other mostly belong to the same.
  @exclusivity(unchecked) private var lastNamed: Topic?
  @exclusivity(unchecked) private var lastNumbered: Topic?
  /// The number of the next topic.
  private(set) var nextNumber: UInt32 = 1
  /// When retention is to be looked at; 0: in the first turn, which sees what a start has found.
  @exclusivity(unchecked) private(set) var nextRetentionMs: UnixMs = 0
  /// Topics of which a part that somebody waits for has come from disk.
  private var loaded: [Topic] = []
  private var obsoletePaths: [String] = []
  private var obsoleteDirectories: [String] = []

  init(_ settings: BrokerSettings, _ turn: Turn, _ hasher: SipHash128, _ io: any IOQueue) {
    self.settings = settings
    self.turn = turn
    self.hasher = hasher
    cache = ChunkCache(bytesMax: settings.cacheBytes)
    self.io = io
  }

  /// Bytes of logs in memory.
  var cacheBytes: Int { cache.bytes }

  /// Frees memory of logs beyond the budget. Call at the beginning of a turn, when nobody looks at records.
  func evict() { cache.evict() }

  // MARK: Finding

  /// The topic of this number; nil when there is none. O(1).
  subscript(number: UInt32) -> Topic? {
    if let lastNumbered, lastNumbered.number == number { return lastNumbered }
    guard let topic = byNumber[number] else { return nil }
    lastNumbered = topic
    return topic
  }

  /// The topic of this name; nil when there is none. O(1).
  func find(_ name: UnsafeRawBufferPointer) -> Topic? {
    if let lastNamed, lastNamed.nameBytes.withUnsafeBytes({ $0.equals(name) }) { return lastNamed }
    guard let topic = byName[nameHash(name)] else { return nil }
    lastNamed = topic
    return topic
  }

  private func nameHash(_ name: UnsafeRawBufferPointer) -> IDHash { hasher.hash(topic: 0, id: name) }

  /// How many there are.
  var count: Int { byNumber.count }

  /// All topics, in no order.
  var all: some Collection<Topic> { byNumber.values }

  /// All topics by number: the same run does the same in the same order. O(topics log topics).
  var inOrder: [Topic] { byNumber.values.sorted { $0.number < $1.number } }

  // MARK: Changes

  @discardableResult
  func apply(_ created: TopicCreated) -> Topic {
    add(
      created.topic, String(decoding: created.name, as: UTF8.self), created.retentionMs, created.retentionBytes,
      firstOffset: 0)
  }

  private func add(
    _ number: UInt32, _ name: String, _ retentionMs: Int64, _ retentionBytes: Int64, firstOffset: TopicOffset
  ) -> Topic {
    let isQueue = Topic.isQueue(retentionMs: retentionMs)
    let segmentBytes = isQueue ? settings.queueSegmentBytes : settings.segmentBytes
    let log = TopicLog(topic: number, firstOffset: firstOffset, segmentBytes: segmentBytes, cache: cache, io: io)
    let topic = Topic(number: number, name: name, log: log, retentionMs: retentionMs, retentionBytes: retentionBytes)
    log.chunkLoaded = { [unowned self, unowned topic] in loaded.append(topic) }
    byNumber[number] = topic
    topic.nameBytes.withUnsafeBytes { byName[nameHash($0)] = topic }
    noteNumber(number)
    return topic
  }

  /// Keeps the number of a topic that a record names from being used again: a salvage may have left out the record that made
  /// the topic.
  func noteNumber(_ number: UInt32) { nextNumber = max(nextNumber, number + 1) }

  /// The part of a deletion that is about the topic itself; its files go with the next durable checkpoint.
  func remove(_ topic: Topic) {
    topic.end()
    byNumber[topic.number] = nil
    topic.nameBytes.withUnsafeBytes { byName[nameHash($0)] = nil }
    lastNamed = nil
    lastNumbered = nil
    loaded.removeAll { $0 === topic }
    obsoletePaths += topic.log.allPaths()
    obsoleteDirectories.append(TopicLog.directory(topic.number))
    topic.log.dropMemory()
  }

  func apply(_ trimmed: Trimmed) { self[trimmed.topic]?.log.trim(to: trimmed.firstOffset) }

  /// The topics of which a part has come from disk since the last call.
  func takeLoaded() -> [Topic] {
    if loaded.isEmpty { return [] }
    defer { loaded = [] }
    return loaded
  }

  // MARK: Retention

  /// Something was appended: its segment is to be sealed in time, and the bytes may be too many now.
  @inline(__always) func watchRetention(_ topic: Topic) {
    guard !topic.isQueue else { return }
    nextRetentionMs = min(
      nextRetentionMs, turn.nowMs + (topic.retentionBytes == .max ? topic.sealAfterMs + 1 : 1000))
  }

  /// Removes old messages when it is time to look, and calls `wasTrimmed` for each topic that lost some. O(topics), at most
  /// once a second, and only while there is something that could become too old: topics without messages never wake the server.
  func trimIfTime(_ wasTrimmed: (Topic) -> Void) {
    guard turn.nowMs >= nextRetentionMs else { return }
    var nextMs = UnixMs.max
    for topic in inOrder where !topic.isQueue {
      trimOld(topic, wasTrimmed)
      nextMs = min(nextMs, lookAgainMs(topic))
    }
    nextRetentionMs = max(nextMs, turn.nowMs + 1000)
  }

  private func trimOld(_ topic: Topic, _ wasTrimmed: (Topic) -> Void) {
    let oldestMs = turn.nowMs.subtractingReportingOverflow(topic.retentionMs)
    let limitMs = oldestMs.overflow ? UnixMs.min : oldestMs.partialValue
    topic.log.sealIfOld(olderThanMs: turn.nowMs - topic.sealAfterMs)
    let target = topic.log.trimTarget(olderThanMs: limitMs, bytesMax: Int(clamping: topic.retentionBytes))
    guard target > topic.log.firstOffset else { return }
    apply(turn.write(Trimmed(topic: topic.number, firstOffset: target)))
    wasTrimmed(topic)
  }

  /// When the oldest messages of a topic may be too old, or its active segment is to be sealed.
  private func lookAgainMs(_ topic: Topic) -> UnixMs {
    let sealMs = topic.log.activeSegmentStartMs.map { $0 + topic.sealAfterMs + 1 } ?? .max
    let due = (topic.log.oldestSegmentEndMs ?? .max).addingReportingOverflow(topic.retentionMs)
    return min(sealMs, due.overflow || due.partialValue == .max ? .max : due.partialValue + 1)
  }

  // MARK: Checkpoints

  /// Whether a checkpoint would give disk space of deleted topics back.
  var hasObsoleteFiles: Bool { !obsoletePaths.isEmpty }

  /// Files and folders that no checkpoint names any more, to be removed once the newest one is durable.
  func takeObsolete() -> (paths: [String], directories: [String]) {
    defer {
      obsoletePaths = []
      obsoleteDirectories = []
    }
    return (obsoletePaths + inOrder.flatMap { $0.log.takeObsolete() }, obsoleteDirectories)
  }

  /// Restores the topics of a checkpoint, and reads their active segments.
  ///
  /// - Throws: `damaged` when a file does not hold what the checkpoint says.
  func recover(_ state: State, files: OpenFiles) throws(StorageError) {
    for topic in state.topics {
      let added = add(
        topic.number, topic.name, topic.retentionMs, topic.retentionBytes, firstOffset: topic.firstOffset)
      try added.log.recover(
        topic.segments, nextOffset: topic.nextOffset, lastReleasedMs: topic.lastReleasedMs,
        queueCounts: topic.queueCounts, files: files)
    }
    nextNumber = state.nextNumber
  }

  func checkInvariants() {
    precondition(byName.count == byNumber.count, "each topic has one name")
    for (number, topic) in byNumber {
      precondition(topic.number == number && topic.isAlive, "the table has living topics by their numbers")
      precondition(topic.number < nextNumber, "numbers are not used again")
      precondition(topic.nameBytes.withUnsafeBytes { byName[nameHash($0)] } === topic, "a topic is found by its name")
      precondition(topic.pendingCount >= 0, "no topic has less than nothing pending")
      precondition(topic.pendingBytes >= 0, "what is pending has no less than no bytes")
      // A crash may have come between the records that make a queue's topic and its group.
      precondition(topic.groups.allSatisfy { ($0.queue != nil) == topic.isQueue }, "the group of a queue has its rules")
      for group in topic.groups { precondition(group.topic === topic, "a topic has the groups that read it") }
    }
  }
}
