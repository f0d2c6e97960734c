// What the server has said on the wire, and the promises that it must keep: the judge of a run.
//
// Holds: knows nothing but requests as they were sent and bytes as the server wrote them; `epoch` counts the moments before
// which everything had come to rest or every connection had ended, so that what is said later follows from what was said before.
// Leaves to others: cutting lines and matching replies with requests (Client), reading the logs at the end (Audit).

import Primitives

struct MessageKey: Hashable {
  var topic: String
  var id: String
}

struct GroupKey: Hashable {
  var topic: String
  var group: String
}

/// A message of a RabbitMQ queue.
struct QueuedMessage {
  var isConfirmed = false
  var isAckAsked = false
  /// The epoch in which the server said that it is acknowledged.
  var ackedIn: Int?
  /// The life in which it was last delivered for the first time.
  var firstDeliveredIn: Int?
}

struct WireLedger {
  private(set) var complaints: [String] = []
  /// Processes so far.
  private(set) var life = 0
  private(set) var epoch = 0

  var histories: [MessageKey: History] = [:]
  /// The id that each version was sent with.
  var keyOfVersion: [Int: MessageKey] = [:]
  private(set) var offsets: [String: [TopicOffset: Int]] = [:]
  private(set) var offsetOfVersion: [String: [Int: TopicOffset]] = [:]

  /// When the request that gave a version its time was sent and answered, in events of this ledger, and where.
  struct Acceptance {
    var sent: Int
    var answered: Int
    var connection: Int
    var dueMs: UnixMs
  }
  var acceptances: [MessageKey: Acceptance] = [:]

  private var attempts: [GroupKey: [TopicOffset: [Int: Set<Int>]]] = [:]
  private var fetchedAttempts: [GroupKey: [TopicOffset: (life: Int, attempt: Int)]] = [:]
  private(set) var acked: [GroupKey: [TopicOffset: Int]] = [:]
  private(set) var ackAsked: [GroupKey: Set<TopicOffset>] = [:]
  var queues: [String: [Int: QueuedMessage]] = [:]

  mutating func complain(_ text: String) { if complaints.count < 10 { complaints.append(text) } }

  /// A new process: every connection has ended.
  mutating func beginLife() {
    life += 1
    epoch += 1
  }

  /// Everything has come to rest: no delivery is on its way.
  mutating func rest() { epoch += 1 }

  // MARK: Messages

  mutating func ask(_ key: MessageKey, _ request: MessageRequest, nowMs: UnixMs) {
    histories[key, default: History()].ask(request, nowMs: nowMs)
  }

  mutating func answer(_ key: MessageKey, _ reply: String, dueMs: UnixMs?, version: Int?, nowMs: UnixMs) {
    let before = histories[key]?.shown ?? ""
    if histories[key]?.answer(reply, dueMs: dueMs, version: version, nowMs: nowMs) != true {
      complain("\(key) cannot be '\(reply)' (due \(dueMs ?? -1), version \(version ?? -1)); it was \(before)")
    }
  }

  mutating func refuse(_ key: MessageKey, nowMs: UnixMs) {
    if histories[key]?.refuse(nowMs: nowMs) != true { complain("\(key) was refused and done") }
  }

  mutating func giveUp(_ key: MessageKey, nowMs: UnixMs) {
    histories[key]?.giveUp(nowMs: nowMs)
    // What was asked may have been done: nobody knows any more when it is due.
    acceptances[key] = nil
  }

  // MARK: Logs

  /// A message was shown at an offset.
  mutating func see(_ topic: String, _ offset: TopicOffset, version: Int) {
    if let before = offsets[topic]?[offset], before != version {
      complain("offset \(offset) of \(topic) was version \(before), now it is \(version)")
    }
    if let before = offsetOfVersion[topic]?[version], before != offset {
      complain("version \(version) of \(topic) is at the offsets \(before) and \(offset)")
    }
    offsets[topic, default: [:]][offset] = version
    offsetOfVersion[topic, default: [:]][version] = offset
  }

  /// A delivery of a scheduled or published message: its id, version and times must follow from what its owner was told.
  mutating func seeDelivery(
    _ key: MessageKey, _ offset: TopicOffset, version: Int, dueMs: UnixMs, releasedMs: UnixMs, nowMs: UnixMs
  ) {
    see(key.topic, offset, version: version)
    if releasedMs < dueMs || dueMs > nowMs || releasedMs > nowMs {
      complain("\(key), due \(dueMs), was released at \(releasedMs) and shown at \(nowMs)")
    }
    let before = histories[key]?.shown ?? "never asked for"
    if histories[key]?.see(version: version, dueMs: dueMs, nowMs: nowMs) != true {
      complain("\(key) was delivered as version \(version), due \(dueMs); it was \(before)")
    }
  }

  // MARK: Groups

  mutating func give(_ group: GroupKey, _ offset: TopicOffset, attempt: Int, isFetched: Bool) {
    if let ackedIn = acked[group]?[offset], ackedIn < epoch {
      complain("\(group) was given \(offset) again, acknowledged in epoch \(ackedIn), now is \(epoch)")
    }
    if attempts[group]?[offset]?[life]?.contains(attempt) == true {
      complain("\(group) was given \(offset) twice as attempt \(attempt)")
    }
    attempts[group, default: [:]][offset, default: [:]][life, default: []].insert(attempt)
    if let (fetchLife, before) = fetchedAttempts[group]?[offset], fetchLife < life, attempt <= before {
      complain("\(group) was given \(offset) as attempt \(attempt), after a fetch had shown attempt \(before)")
    }
    guard isFetched else { return }
    let before = fetchedAttempts[group]?[offset]?.attempt ?? 0
    fetchedAttempts[group, default: [:]][offset] = (life, max(attempt, before))
  }

  mutating func askAck(_ group: GroupKey, _ offset: TopicOffset) { ackAsked[group, default: []].insert(offset) }

  mutating func ack(_ group: GroupKey, _ offset: TopicOffset) { acked[group, default: [:]][offset] = epoch }

  /// The group is moved, or may have been: what was acknowledged may come again.
  mutating func move(_ group: GroupKey) {
    acked[group] = nil
    attempts[group] = nil
    fetchedAttempts[group] = nil
  }

  // MARK: Queues

  mutating func deliver(_ queue: String, version: Int, isRedelivered: Bool) {
    guard var message = queues[queue]?[version] else {
      return complain("queue \(queue) delivered version \(version), which nobody sent there")
    }
    if let ackedIn = message.ackedIn, ackedIn < epoch {
      complain("queue \(queue) delivered version \(version) again after it had been acknowledged")
    }
    if !isRedelivered, message.firstDeliveredIn == life {
      complain("queue \(queue) delivered version \(version) twice for the first time")
    }
    if !isRedelivered { message.firstDeliveredIn = life }
    queues[queue]?[version] = message
  }
}
