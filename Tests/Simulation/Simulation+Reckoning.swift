// The end of a run: all time passes, every group finishes its work, every log is read from its first offset, and the ledger
// has the last word.

import Broker
import Primitives
import SimulatedDisk

extension Simulation {
  /// Brings everything to its end and judges it.
  func reckon() {
    disk.clearFaults()
    disk.capacityBytes = .max
    reviveIfCrashed()
    guard !isBroken, machine != nil else { return }
    for consumer in consumers { broker.remove(consumer) }
    consumers = []
    releaseAll()
    finishGroups()
    for index in Script.topics.indices { judge(topicIndex: index) }
  }

  /// Turns until nothing is to be done any more.
  func quiesce(passMs: Int64 = 0, _ what: String, until isDone: () -> Bool) {
    for _ in 0..<2000 {
      if isBroken { return }
      time.nowNs += passMs * TimeUnits.nsPerMs
      turn()
      background(1000)
      reviveIfCrashed()
      if isDone(), machine?.io.isIdle == true, blocked.isEmpty { return }
    }
    ledger.complain("\(what) never came to an end")
    isBroken = true
  }

  private func releaseAll() {
    // Behind everything that can be scheduled.
    time.nowNs += 11 * 365 * 86_400_000 * TimeUnits.nsPerMs
    quiesce(passMs: 10, "releasing") { broker.gauges.pending == 0 && broker.gauges.dueNow == 0 }
  }

  private func finishGroups() {
    drained = [:]
    let keys = groupNames.keys.sorted { ($0.topic, $0.group) < ($1.topic, $1.group) }
    for key in keys {
      guard !isBroken, let place = groupNames[key], let topic = broker.findTopic(bytes(Script.topics[place.topic])),
        topic.number == key.topic
      else { continue }
      var options = ConsumerOptions()
      options.maxAttempts = Self.maxAttempts
      options.ackWaitMs = 1_000_000_000
      options.isOrdered = key.group == "ordered"
      options.tags = key.group == "tagged" ? [Array("a".utf8)] : nil
      nextConnection += 1
      do { try subscribe(place.topic, place.group, options, nextConnection) } catch {
        return ledger.complain("\(key) cannot be joined: \(error)")
      }
      guard let group = broker.findGroup(topic, bytes(key.group)) else { return ledger.complain("\(key) is not there") }
      // Ten minutes: the longest back-off.
      quiesce(passMs: 610_000, "group \(key)") {
        let mine = inHand.filter { $0.group == key }.map(\.offset)
        inHand.removeAll { $0.group == key }
        if !mine.isEmpty { turn { for offset in Set(mine).sorted() { acknowledge(group, key, offset) } } }
        return group.lag == 0
      }
      judgeGroup(key, topic)
    }
  }

  private func acknowledge(_ group: Group, _ key: GroupKey, _ offset: TopicOffset) {
    if (try? broker.acknowledge(group, .one(offset)))?.value == 1 { acksOfTurn.append((key, offset)) }
  }

  /// Every message reached the group, unless it was acknowledged or died.
  private func judgeGroup(_ key: GroupKey, _ topic: Topic) {
    if key.group == "tagged" || ledger.soughtGroups.contains(key) { return }
    for offset in 0..<topic.log.nextOffset {
      if ledger.acked[key]?.contains(offset) == true || ledger.maybeAcked[key]?.contains(offset) == true { continue }
      if drained?[key]?.contains(offset) == true { continue }
      if ledger.highestAttempt[key]?[offset] ?? 0 >= Self.maxAttempts { continue }
      ledger.complain("\(key) never got offset \(offset)")
    }
  }

  private func judge(topicIndex: Int) {
    let name = Script.topics[topicIndex]
    guard !isBroken, let topic = broker.findTopic(bytes(name)) else { return }
    ledger.judgeLog(topic.number, read(name))
    for group in Script.groups {
      let deadName = "\(name).\(group).dlq"
      guard broker.findTopic(bytes(deadName)) != nil else { continue }
      let dead = read(deadName).map(\.message.version)
      let key = GroupKey(topic: topic.number, group: group)
      if Set(dead).count != dead.count, !ledger.soughtGroups.contains(key), ledger.deletedTopics.isEmpty {
        ledger.complain("\(deadName) has a message twice: \(dead)")
      }
    }
  }

  /// The whole log of a topic.
  private func read(_ name: String) -> [(offset: TopicOffset, message: Ledger.Seen)] {
    guard let topic = broker.findTopic(bytes(name)) else { return [] }
    var options = ConsumerOptions()
    options.from = .earliest
    nextConnection += 1
    guard
      let consumer = try? broker.subscribe(
        topic: bytes(name), group: nil, sub: 1, connection: nextConnection, options
      ).value
    else {
      ledger.complain("\(name) cannot be read")
      return []
    }
    audit = (consumer, [])
    quiesce("reading \(name)") { UInt64(audit?.log.count ?? 0) >= topic.log.nextOffset }
    defer { audit = nil }
    broker.remove(consumer)
    return audit?.log ?? []
  }

  // MARK: Live and replayed

  /// What a start makes of the disk as it is, besides the state of the running broker; equal lists when replay is right.
  func liveAndReplayed() throws -> (live: [String], replayed: [String]) {
    for consumer in consumers { broker.remove(consumer) }
    consumers = []
    quiesce("syncing") { engine.log.durableSequence >= broker.records.lastSequence }
    let copy = disk.copy()
    let live = broker.digest(reading: disk.peek)
    let again = try SimulatedMachine(disk: copy, settings: settings, time: time, seed: seed, medium: medium?.copy())
    return (live, again.broker.digest(asOf: broker.nowMs, reading: copy.peek))
  }
}
