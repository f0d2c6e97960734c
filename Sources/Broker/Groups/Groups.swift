// The consumer groups of all topics and their consumers: which there are, what decisions make of them, and who has work.
//
// Holds: a group's number is its slot in the table and is never used again; a consumer's number is its slot, and is used
// again after it is gone; a group with work stands once in the line of groups to be served, and so does a topic whose private
// tails have work.
// Leaves to others: the state of one group (Group, OutstandingMessages), who gets which message (Groups+Dispatch).
//
// No exclusivity checks on what every message touches: one thread owns it, and the checks took 13 % of a burst's time.

import Primitives
import TimingWheel
import TopicLog

/// All consumer groups.
final class Groups {
  let settings: BrokerSettings
  let turn: Turn
  let timers: Timers
  let topics: Topics
  let hasher: SipHash128
  /// First deliveries of the current dispatch.
  let fresh = FreshDeliveries()
  @exclusivity(unchecked) private var table: [Group?] = []
  /// How many groups there are.
  private(set) var count = 0
  @exclusivity(unchecked) private var consumers: [Consumer?] = []
  private var freeConsumers: [UInt32] = []
  /// Groups to be served.
  @exclusivity(unchecked) private var dirty: [Group] = []
  @exclusivity(unchecked) private var serving: [Group] = []
  /// Topics whose private tails are to be served.
  @exclusivity(unchecked) private var dirtyTails: [Topic] = []
  /// Groups with ended messages that are not recorded yet.
  @exclusivity(unchecked) private var withUnrecordedEnds: [Group] = []

  init(_ settings: BrokerSettings, _ turn: Turn, _ timers: Timers, _ topics: Topics, _ hasher: SipHash128) {
    self.settings = settings
    self.turn = turn
    self.timers = timers
    self.topics = topics
    self.hasher = hasher
  }

  // MARK: Groups

  /// The group of this number; nil when it is gone, or when a salvage left out the record that made it.
  @inline(__always) subscript(number: UInt32) -> Group? { Int(number) < table.count ? table[Int(number)] : nil }

  /// All groups, by number.
  var inOrder: [Group] { table.compactMap { $0 } }

  /// The number of the next group.
  var nextNumber: UInt32 { UInt32(table.count) }

  // MARK: Decisions

  /// - Parameter queue: what the group does as a queue; nil for a group of readers.
  @discardableResult
  func apply(_ created: GroupCreated, queue: QueueRules?) -> Group? {
    guard let topic = topics[created.topic] else { return nil }
    let name = String(decoding: created.name, as: UTF8.self)
    return add(created.group, topic, name, created.startOffset, queue)
  }

  private func add(
    _ number: UInt32, _ topic: Topic, _ name: String, _ start: TopicOffset, _ queue: QueueRules?
  ) -> Group {
    reserve(numbers: number + 1)
    let group = Group(number: number, name: name, topic: topic, startOffset: start, queue: queue)
    table[Int(number)] = group
    count += 1
    topic.add(group)
    return group
  }

  /// Notes that numbers below this one are used.
  private func reserve(numbers: UInt32) {
    while table.count < Int(numbers) { table.append(nil) }
  }

  /// Removes the groups of a deleted topic and tells its consumers.
  func remove(_ topic: Topic) {
    for consumer in topic.tails + topic.groups.flatMap(\.consumers) {
      // A fetch that waits is answered now: nothing will ever come for it.
      for fetch in consumer.fetches { turn.notify(.fetched(consumer, token: fetch.token, [])) }
      turn.notify(.ended(consumer))
      let companion = consumer.companion
      forget(consumer)
      if let companion { remove(companion) }
    }
    for group in topic.groups {
      table[Int(group.number)] = nil
      count -= 1
    }
    for connection in topic.takeWaiting() { turn.notify(.retry(connection: connection)) }
    notifyWatchers(of: topic)
  }

  func apply(_ delivered: Delivered) {
    guard let group = self[delivered.group] else { return }
    group.skip(to: delivered.offsets.upperBound)
    guard let entries = delivered.entries else {
      for offset in delivered.offsets { deliver(offset, keyHash: 0, isParked: false, to: group) }
      return
    }
    let first = delivered.offsets.lowerBound
    entries.forEach { entry in
      deliver(first + UInt64(entry.distance), keyHash: entry.keyHash, isParked: entry.isParked, to: group)
    }
  }

  private func deliver(_ offset: TopicOffset, keyHash: UInt64, isParked: Bool, to group: Group) {
    // Delivered before, by a record in front of one that a salvage left out.
    if group.outstanding.find(offset) != nil { finish(offset, in: group) }
    group.outstanding.deliver(offset, keyHash: keyHash, isParked: isParked)
  }

  @inline(__always) func apply(_ redelivered: Redelivered) {
    self[redelivered.group]?.outstanding.redeliver(redelivered.offset)
  }

  func apply(_ acknowledged: Acknowledged) {
    guard let group = self[acknowledged.group] else { return }
    acknowledged.runs.forEach { run in
      for offset in run.offsets { finish(offset, in: group) }
    }
  }

  /// Ends a message in a group, as a decision says. A caller that applies no decision must see to it that a record follows.
  /// O(1).
  @inline(__always) func finish(_ offset: TopicOffset, in group: Group) {
    group.queue?.ended(offset, in: group)
    guard let entry = group.finish(offset) else { return }
    timers.stop(entry.timer)
    if entry.state == .inFlight { noteTakenBack(from: entry.consumer) }
  }

  func apply(_ refused: Refused) {
    self[refused.group]?.outstanding.wait(refused.offset, untilMs: refused.untilMs)
  }

  func apply(_ forwarded: Forwarded) {
    turn.note(forwarded.atMs)
    let record = forwarded.message.record
    if let target = topics[record.topic] {
      _ = target.log.append(copyOf: record, releasedMs: forwarded.atMs)
    } else {
      topics.noteNumber(record.topic)
    }
    guard let group = self[forwarded.group] else { return }
    finish(forwarded.offset, in: group)
    // Dead letters are put back from the cursor, or from behind a gap there, without being delivered first.
    if forwarded.offset >= group.cursor { group.skip(to: forwarded.offset + 1) }
  }

  func apply(_ moved: Moved) { self[moved.group]?.move(to: moved.offset) }

  func apply(_ rejected: Rejected) {
    guard let group = self[rejected.group] else { return }
    let reason = EndReason(rawValue: rejected.reason) ?? .rejected
    rejected.runs.forEach { run in
      for offset in run.offsets { group.outstanding.startDeadLettering(offset, reason) }
    }
  }

  // MARK: Ends that a record at the end of the turn says

  /// Ends a message; the next record of ends says so. O(1).
  @inline(__always) func end(_ offset: TopicOffset, in group: Group) {
    finish(offset, in: group)
    noteEnd(offset, in: group)
  }

  /// Notes that `finish` has ended a message without a record.
  @inline(__always) func noteEnd(_ offset: TopicOffset, in group: Group) {
    if group.noteEnd(offset) { withUnrecordedEnds.append(group) }
  }

  /// Records what has ended in a group since its last record of ends: in one record, unless there are very many runs.
  @inline(__always) func recordEnds(_ group: Group) {
    group.takeUnrecordedEnds { turn.write(Acknowledged(group: group.number, runs: $0)) }
  }

  func recordEnds() {
    for group in withUnrecordedEnds where group.topic.isAlive { recordEnds(group) }
    withUnrecordedEnds.removeAll(keepingCapacity: true)
  }

  /// Whether every end is recorded.
  var hasRecordedEnds: Bool { withUnrecordedEnds.isEmpty }

  // MARK: Consumers

  /// The consumer of this number; nil when it is gone.
  @inline(__always) subscript(consumer number: UInt32) -> Consumer? {
    Int(number) < consumers.count ? consumers[Int(number)] : nil
  }

  /// How many consumers there are.
  var consumerCount: Int { consumers.count - freeConsumers.count }

  func isPresent(_ consumer: Consumer) -> Bool { self[consumer: consumer.number] === consumer }

  func addConsumer(
    _ connection: UInt64, _ sub: Int64, _ kind: Consumer.Kind, _ topic: Topic, _ group: Group?,
    _ options: ConsumerOptions, start: TopicOffset = 0
  ) -> Consumer {
    let number = freeConsumers.popLast() ?? UInt32(consumers.count)
    if Int(number) == consumers.count { consumers.append(nil) }
    let consumer = Consumer(
      number: number, connection: connection, sub: sub, kind: kind, topic: topic, group: group, options: options,
      start: start, rule: settings.deliveryRule)
    consumers[Int(number)] = consumer
    if let group {
      group.add(consumer)
      adopt(options, group)
    } else {
      topic.add(tail: consumer)
      markTailsDirty(topic)
    }
    return consumer
  }

  /// Filter, order and number of attempts belong to the group; the options of the last consumer count.
  func adopt(_ options: ConsumerOptions, _ group: Group) {
    group.adopt(options)
    markDirty(group)
  }

  /// Removes a consumer. The messages that it had are delivered again, to other members.
  func remove(_ consumer: Consumer) {
    guard isPresent(consumer) else { return }
    let companion = consumer.companion
    forget(consumer)
    defer { if let companion { remove(companion) } }
    guard let group = consumer.group else { return consumer.topic.remove(tail: consumer) }
    group.remove(consumer)
    guard consumer.inFlight > 0 else { return }
    var offsets: [TopicOffset] = []
    group.outstanding.forEach { entry in
      if entry.pointee.consumer == consumer.number { offsets.append(entry.pointee.offset) }
    }
    for offset in offsets.sorted() { giveBack(offset, group, .abandoned) }
    markDirty(group)
  }

  /// Takes a consumer out of the table and ends its fetches without an answer.
  private func forget(_ consumer: Consumer) {
    guard isPresent(consumer) else { return }
    consumers[Int(consumer.number)] = nil
    freeConsumers.append(consumer.number)
    for fetch in consumer.endFetches(where: { _ in true }) { timers.stop(fetch.timer) }
    consumer.unpair()
    if let freed = consumer.leaveSharedCredit() { markDirty(membersOf: freed) }
  }

  // MARK: Who has work

  /// Whether somebody is to be served.
  var hasWork: Bool { !dirty.isEmpty || !dirtyTails.isEmpty }

  @inline(__always) func markDirty(_ group: Group) {
    if !group.isDirty { putInLine(group) }
  }

  private func putInLine(_ group: Group) {
    group.setDirty(true)
    // Credit that comes free in one of two companions' groups may be wanted in the other, which is served first: so neither
    // takes it all.
    if group.hasCompanions {
      for consumer in group.consumers { if let other = consumer.companion?.group { markDirty(other) } }
    }
    dirty.append(group)
  }

  func markTailsDirty(_ topic: Topic) {
    if !topic.tails.isEmpty, !dirtyTails.contains(where: { $0 === topic }) { dirtyTails.append(topic) }
  }

  /// Something was appended by the record `sequence`, which decided that.
  @inline(__always) func appended(_ topic: Topic, by sequence: Sequence) {
    topic.noteAppended(by: sequence)
    grown(topic)
  }

  /// Something is new in a topic: whoever reads it has work.
  @inline(__always) func grown(_ topic: Topic) {
    for group in topic.groups where !group.isDirty && !group.consumers.isEmpty { putInLine(group) }
    if !topic.tails.isEmpty { markTailsDirty(topic) }
    if topic.isWatched { notifyWatchers(of: topic) }
    topics.watchRetention(topic)
  }

  private func notifyWatchers(of topic: Topic) {
    for connection in topic.takeWatchers() { turn.notify(.grown(topic, connection: connection)) }
  }

  /// Serves every group and tail that has something to do, as far as the turn's bytes go.
  func dispatch() {
    for topic in topics.takeLoaded() { noteLoaded(topic) }
    swap(&dirty, &serving)
    for (index, group) in serving.enumerated() {
      if turn.deliveryBytesRemaining <= 0 {
        // Groups that were not served are first in the next turn.
        dirty.insert(contentsOf: serving[index...], at: 0)
        break
      }
      group.setDirty(false)
      if group.topic.isAlive { dispatch(group) }
    }
    serving.removeAll(keepingCapacity: true)
    let tails = dirtyTails
    dirtyTails.removeAll(keepingCapacity: true)
    for topic in tails where topic.isAlive {
      for tail in topic.tails {
        // Busy groups must leave something for the tails.
        turn.deliveryBytesRemaining = max(turn.deliveryBytesRemaining, settings.tailBytesPerTurn)
        dispatch(tail: tail)
      }
    }
  }

  private func noteLoaded(_ topic: Topic) {
    for group in topic.groups where group.waitsForDisk {
      group.setWaitsForDisk(false)
      markDirty(group)
    }
    markTailsDirty(topic)
    for connection in topic.takeWaiting() { turn.notify(.retry(connection: connection)) }
  }

  // MARK: A start

  /// Restores the groups of a checkpoint.
  func recover(_ state: State, queueRules: (Topic) -> QueueRules?) {
    for state in state.groups {
      guard let topic = topics[state.topic] else { continue }
      add(state.number, topic, state.name, state.cursor, queueRules(topic))
        .recover(state.outstanding, cursor: state.cursor)
    }
    reserve(numbers: state.numbers)
  }

  func checkInvariants() {
    precondition(inOrder.count == count, "the number of groups is right")
    for (number, group) in table.enumerated() {
      guard let group else { continue }
      precondition(group.number == number, "a group stands at its number")
      precondition(topics[group.topic.number] === group.topic, "a group reads a living topic")
      precondition(group.topic.groups.contains { $0 === group }, "a topic knows its groups")
      group.checkInvariants()
      for consumer in group.consumers {
        precondition(isPresent(consumer) && consumer.group === group, "the consumers of a group are known")
        var inFlight = 0
        group.outstanding.forEach { if $0.pointee.consumer == consumer.number { inFlight += 1 } }
        precondition(inFlight == consumer.inFlight, "a consumer's messages in flight are counted")
      }
      precondition(group.isDirty == dirty.contains { $0 === group }, "a group with work stands in line")
    }
    for consumer in consumers {
      guard let consumer else { continue }
      let members = consumer.group?.consumers ?? consumer.topic.tails
      precondition(members.contains { $0 === consumer }, "a consumer reads a group or a topic")
      precondition(consumer.companion.map { $0.companion === consumer } ?? true, "companions know each other")
    }
  }
}
