// What the clients know, kept apart from the broker: every answer and every delivery, and the laws that they must obey.
//
// Holds: facts stand in the order in which they happened, each with the journal sequence behind it. A loss of power leaves
// the facts up to some sequence; whatever was acknowledged must be among them. The state below is the fold of the facts.
// Leaves to others: asking and listening (Simulation).

import Primitives

/// A message's name for its whole life: the topic's number, which is never used again, and the id.
struct MessageKey: Hashable {
  var topic: UInt32
  var id: String
}

/// A group's name.
struct GroupKey: Hashable {
  var topic: UInt32
  var group: String
}

/// A number given to each message body, so that every message can be told from every other one.
typealias Version = Int

/// Something that a client was told, or will be.
enum Fact {
  case put(MessageKey, Version, dueMs: UnixMs, nowMs: UnixMs, replaces: Bool)
  case kept(MessageKey, dueMs: UnixMs, nowMs: UnixMs)
  case moved(MessageKey, dueMs: UnixMs, nowMs: UnixMs)
  case cancelled(MessageKey, nowMs: UnixMs)
  case foundReleased(MessageKey, nowMs: UnixMs)
  case foundNothing(MessageKey, nowMs: UnixMs)
  case published(MessageKey, Version, TopicOffset)
  case given(GroupKey, TopicOffset, Version, attempt: UInt32)
  case acked(GroupKey, TopicOffset)
  case sought(GroupKey)
  case topicDeleted(UInt32)
}

/// Facts and complaints.
struct Ledger {
  struct Event {
    var fact: Fact
    var sequence: Sequence
    /// Whether the client has been told.
    var isAcknowledged = false
  }

  /// What is known of one version of a message.
  struct Known {
    enum Fate { case pending, mustBeReleased, mustNotBeReleased }
    var key: MessageKey
    var dueMs: UnixMs
    /// The order of acceptance.
    var order: Sequence
    /// Whether it was due in the future when it was accepted.
    var wasEarly: Bool
    var fate = Fate.pending
    var publishedAt: TopicOffset?
  }

  struct Seen: Equatable {
    var id: String
    var version: Version
    var dueMs: UnixMs
    var releasedMs: UnixMs
  }

  private(set) var events: [Event] = []
  private(set) var complaints: [String] = []
  /// Deliveries that clients have seen: nothing may change them any more.
  private(set) var seen: [UInt32: [TopicOffset: Seen]] = [:]
  /// Acknowledgements that a crash may or may not have undone.
  private(set) var maybeAcked: [GroupKey: Set<TopicOffset>] = [:]
  private(set) var highestAttempt: [GroupKey: [TopicOffset: UInt32]] = [:]
  let idWindowMs: Int64

  // The fold of the facts.
  private(set) var known: [Version: Known] = [:]
  private var current: [MessageKey: Version] = [:]
  private(set) var acked: [GroupKey: Set<TopicOffset>] = [:]
  private(set) var attempts: [GroupKey: [TopicOffset: UInt32]] = [:]
  private(set) var soughtGroups: Set<GroupKey> = []
  private(set) var deletedTopics: Set<UInt32> = []
  private var isRefolding = false

  init(idWindowMs: Int64) { self.idWindowMs = idWindowMs }

  mutating func complain(_ text: String) {
    if complaints.count < 20 { complaints.append(text) }
  }

  // MARK: Facts

  /// Notes a fact; gives its place, for `acknowledge`.
  mutating func note(_ fact: Fact, _ sequence: Sequence) -> Int {
    events.append(Event(fact: fact, sequence: sequence))
    apply(fact, sequence)
    return events.count - 1
  }

  /// The client has been told.
  mutating func acknowledge(_ place: Int) { events[place].isAcknowledged = true }

  /// Acknowledgements of deliveries that the client had not seen yet.
  mutating func mayBeAcked(_ group: GroupKey, _ offsets: Set<TopicOffset>) {
    maybeAcked[group, default: []].formUnion(offsets)
  }

  /// A crash has left the records up to `last`.
  mutating func crashed(last: Sequence) {
    let survivors = events.firstIndex { $0.sequence > last } ?? events.count
    for event in events[survivors...] {
      if event.isAcknowledged { complain("lost though acknowledged: \(event) (the journal ends at \(last))") }
      if case .acked(let group, let offset) = event.fact { maybeAcked[group, default: []].insert(offset) }
    }
    events.removeSubrange(survivors...)
    known = [:]
    current = [:]
    acked = [:]
    attempts = [:]
    soughtGroups = []
    deletedTopics = []
    isRefolding = true
    for event in events { apply(event.fact, event.sequence) }
    isRefolding = false
  }

  private mutating func apply(_ fact: Fact, _ sequence: Sequence) {
    switch fact {
    case .put(let key, let version, let dueMs, let nowMs, let replaces):
      if replaces {
        settle(key, .mustNotBeReleased, "replaced") { _ in true }
      } else {
        settle(key, .mustBeReleased, "scheduled anew while pending") { $0.dueMs <= nowMs }
      }
      current[key] = version
      known[version] = Known(key: key, dueMs: dueMs, order: sequence, wasEarly: dueMs > nowMs)
    case .kept(let key, let dueMs, _):
      guard let version = current[key], let entry = known[version] else {
        return judge("kept \(key), which was not pending")
      }
      if entry.wasEarly, entry.dueMs != dueMs { judge("\(key) is due at \(entry.dueMs), but kept at \(dueMs)") }
    case .moved(let key, let dueMs, let nowMs):
      guard let version = current[key] else { return judge("moved \(key), which was not pending") }
      known[version]?.dueMs = dueMs
      known[version]?.order = sequence
      known[version]?.wasEarly = dueMs > nowMs
    case .cancelled(let key, _):
      settle(key, .mustNotBeReleased, "cancelled") { _ in true }
    case .foundReleased(let key, let nowMs):
      settle(key, .mustBeReleased, "called released too early") { $0.dueMs <= nowMs }
    case .foundNothing(let key, let nowMs):
      settle(key, .mustBeReleased, "unknown while pending") { $0.dueMs <= nowMs }
    case .published(let key, let version, let offset):
      settle(key, .mustBeReleased, "published while pending") { _ in true }
      known[version] = Known(
        key: key, dueMs: .min, order: sequence, wasEarly: false, fate: .mustBeReleased, publishedAt: offset)
    case .given(let group, let offset, let version, let attempt):
      noteGiven(group, offset, version, attempt)
    case .acked(let group, let offset): acked[group, default: []].insert(offset)
    case .sought(let group):
      soughtGroups.insert(group)
      acked[group] = []
      attempts[group] = [:]
    case .topicDeleted(let topic): deletedTopics.insert(topic)
    }
  }

  private mutating func judge(_ text: String) { if !isRefolding { complain(text) } }

  /// The pending version of a key, if any, comes to its end.
  private mutating func settle(_ key: MessageKey, _ fate: Known.Fate, _ what: String, _ isAllowed: (Known) -> Bool) {
    guard let version = current.removeValue(forKey: key), let entry = known[version] else { return }
    if !isAllowed(entry) { judge("\(key) (version \(version), due \(entry.dueMs)) was \(what)") }
    known[version]?.fate = fate
  }

  private mutating func noteGiven(_ group: GroupKey, _ offset: TopicOffset, _ version: Version, _ attempt: UInt32) {
    if !isRefolding {
      let before = attempts[group]?[offset] ?? 0
      let highest = highestAttempt[group]?[offset] ?? 0
      if acked[group]?.contains(offset) == true {
        complain("offset \(offset) was given to \(group) again after it had been acknowledged")
      }
      if attempt <= before { complain("attempt \(attempt) of \(offset) in \(group) after attempt \(before)") }
      if attempt > max(highest, before) + 1 {
        complain("attempt \(attempt) of \(offset) in \(group), and the highest before was \(highest)")
      }
      highestAttempt[group, default: [:]][offset] = max(highest, attempt)
    }
    attempts[group, default: [:]][offset] = attempt
  }

  // MARK: Deliveries

  /// A client has seen a message.
  mutating func see(_ topic: UInt32, _ offset: TopicOffset, _ message: Seen) {
    if let before = seen[topic]?[offset], (before.id, before.version) != (message.id, message.version) {
      complain("offset \(offset) of topic \(topic) was version \(before.version), now it is \(message.version)")
    }
    seen[topic, default: [:]][offset] = message
  }

  // MARK: The end

  /// Judges a topic's whole log, read after everything has been released.
  mutating func judgeLog(_ topic: UInt32, _ log: [(offset: TopicOffset, message: Seen)]) {
    for (place, entry) in log.enumerated() where entry.offset != TopicOffset(place) {
      return complain("topic \(topic) has offset \(entry.offset) where \(place) belongs")
    }
    for (offset, message) in seen[topic] ?? [:] {
      guard offset < log.count, log[Int(offset)].message.version == message.version else {
        complain("offset \(offset) of topic \(topic), version \(message.version), has been seen and is gone")
        continue
      }
    }
    var offsets: [Version: TopicOffset] = [:]
    for entry in log {
      if let first = offsets.updateValue(entry.offset, forKey: entry.message.version) {
        complain("version \(entry.message.version) is at the offsets \(first) and \(entry.offset) of topic \(topic)")
      }
      judgeRelease(topic, entry.offset, entry.message)
    }
    for (version, entry) in known.sorted(by: { $0.key < $1.key }) where entry.key.topic == topic {
      switch (entry.fate, offsets[version]) {
      case (.mustNotBeReleased, let offset?):
        complain("version \(version) of \(entry.key) was released at \(offset) after it was cancelled or replaced")
      case (.pending, nil), (.mustBeReleased, nil):
        complain("version \(version) of \(entry.key), due \(entry.dueMs), was lost: \(entry)")
      default: break
      }
      if let publishedAt = entry.publishedAt, let offset = offsets[version], offset != publishedAt {
        complain("version \(version) was published at \(publishedAt) and is at \(offset)")
      }
    }
    judgeOrder(topic, log.map(\.message))
  }

  private mutating func judgeRelease(_ topic: UInt32, _ offset: TopicOffset, _ message: Seen) {
    guard let entry = known[message.version] else {
      return complain("version \(message.version) at \(offset) of topic \(topic) is of a command that was lost")
    }
    if (entry.key.topic, entry.key.id) != (topic, message.id) {
      complain("version \(message.version) of \(entry.key) is in topic \(topic) as \(message.id)")
    }
    if entry.publishedAt == nil, message.releasedMs < entry.dueMs {
      complain("version \(message.version), due \(entry.dueMs), was released at \(message.releasedMs)")
    }
  }

  /// What was due in the future when it was accepted leaves by (due, acceptance), the rest by acceptance.
  private mutating func judgeOrder(_ topic: UInt32, _ log: [Seen]) {
    var lastEarly: (dueMs: UnixMs, order: Sequence) = (.min, 0)
    var lastLate: Sequence = 0
    for message in log {
      guard let entry = known[message.version], entry.publishedAt == nil else { continue }
      if entry.wasEarly {
        if (entry.dueMs, entry.order) < lastEarly {
          complain("topic \(topic): version \(message.version), \((entry.dueMs, entry.order)), came after \(lastEarly)")
        }
        lastEarly = (entry.dueMs, entry.order)
      } else {
        if entry.order < lastLate {
          complain("topic \(topic): version \(message.version), accepted as \(entry.order), came after \(lastLate)")
        }
        lastLate = entry.order
      }
    }
  }
}
