// Consumers come, go, pause, and say where their group begins.

import Primitives
import TimingWheel
import TopicLog

extension Broker {
  // MARK: Coming

  /// Subscribes a connection to a topic as a member of a group, or, without group, as a private tail from the latest.
  ///
  /// - Parameters:
  ///   - sub: the number that the client will know it by.
  ///   - companion: a subscription of the same connection that the new one shares its credit with; they go together, too.
  /// - Throws: `notFound`, `limitExceeded`; `waitForDisk` when `from` is a time that must be looked up on disk.
  public func subscribe(
    topic name: UnsafeRawBufferPointer, group groupName: UnsafeRawBufferPointer?, sub: Int64, connection: UInt64,
    _ options: ConsumerOptions, companion: Consumer? = nil
  ) throws(BrokerStop) -> Answer<Consumer> {
    try requireWorking()
    let topic = try options.createsAlways ? topicAlways(name) : topicOnUse(name)
    if let groupName {
      let group = try group(topic, groupName, options, connection)
      let consumer = addConsumer(connection, sub, .subscription, topic, group, options)
      group.consumers.append(consumer)
      if let companion { pair(consumer, companion) }
      adopt(options, group)
      return answer(consumer)
    }
    let start = try offset(of: options.from ?? .latest, topic, connection)
    let consumer = addConsumer(connection, sub, .tail, topic, nil, options)
    consumer.cursor = TopicCursor(offset: start)
    topic.tails.append(consumer)
    markTailsDirty(topic)
    return answer(consumer)
  }

  private func pair(_ consumer: Consumer, _ companion: Consumer) {
    consumer.companion = companion
    companion.companion = consumer
    consumer.group?.hasCompanions = true
    companion.group?.hasCompanions = true
  }

  /// The fetching side of a connection on a group, made when it is not there.
  public func fetcher(
    topic name: UnsafeRawBufferPointer, group groupName: UnsafeRawBufferPointer, connection: UInt64,
    _ options: ConsumerOptions
  ) throws(BrokerStop) -> Consumer {
    try requireWorking()
    let group = try group(try topicOnUse(name), groupName, options, connection)
    return fetcher(of: group, connection: connection, options)
  }

  func fetcher(of group: Group, connection: UInt64, _ options: ConsumerOptions) -> Consumer {
    adopt(options, group)
    if let known = group.consumers.first(where: { $0.connection == connection && $0.kind == .fetcher }) {
      known.options = options
      return known
    }
    let consumer = addConsumer(connection, 0, .fetcher, group.topic, group, options)
    group.consumers.append(consumer)
    return consumer
  }

  /// The filter, the order and the number of attempts are the group's; the last to say counts.
  func adopt(_ options: ConsumerOptions, _ group: Group) {
    group.tags = options.tags
    group.isOrdered = options.isOrdered
    group.maxAttempts = options.maxAttempts
    group.deadLetterTopic = options.deadLetterTopic
    markDirty(group)
  }

  func addConsumer(
    _ connection: UInt64, _ sub: Int64, _ kind: Consumer.Kind, _ topic: Topic, _ group: Group?,
    _ options: ConsumerOptions
  ) -> Consumer {
    let number = freeConsumers.popLast() ?? UInt32(consumers.count)
    if Int(number) == consumers.count { consumers.append(nil) }
    let consumer = Consumer(
      number: number, connection: connection, sub: sub, kind: kind, topic: topic, group: group, options: options,
      rule: settings.deliveryRule)
    consumers[Int(number)] = consumer
    return consumer
  }

  /// The group of this name in a topic; nil when there is none.
  public func findGroup(_ topic: Topic, _ name: UnsafeRawBufferPointer) -> Group? {
    topic.groups.first { $0.name.utf8.count == name.count && $0.name.utf8.elementsEqual(name) }
  }

  func group(
    _ topic: Topic, _ name: UnsafeRawBufferPointer, _ options: ConsumerOptions, _ connection: UInt64
  ) throws(BrokerStop) -> Group {
    if let group = findGroup(topic, name) { return group }
    let text = String(decoding: name, as: UTF8.self)
    guard settings.createsOnUse || options.createsAlways else {
      throw .refuse(.notFound, "there is no group '\(text)', and groups are not made on use here")
    }
    guard groupCount < settings.groupsMax else {
      throw .refuse(.limitExceeded, "there are \(groupCount) groups, and no more are allowed")
    }
    let start = try offset(of: options.from ?? .earliest, topic, connection)
    let number = UInt32(groups.count)
    records.begin(Decision.groupCreated.rawValue)
    records.append(number)
    records.append(topic.number)
    records.append(start)
    records.append(bytes: name)
    records.finish()
    return addGroup(number, topic, text, start)
  }

  @discardableResult
  func addGroup(_ number: UInt32, _ topic: Topic, _ name: String, _ start: TopicOffset) -> Group {
    while groups.count <= Int(number) { groups.append(nil) }
    let group = Group(number: number, name: name, topic: topic, startOffset: start)
    groups[Int(number)] = group
    groupCount += 1
    topic.groups.append(group)
    return group
  }

  func offset(of start: StartPosition, _ topic: Topic, _ connection: UInt64) throws(BrokerStop) -> TopicOffset {
    switch start {
    case .earliest: return topic.log.firstOffset
    case .latest: return topic.log.nextOffset
    case .offset(let offset): return min(max(offset, topic.log.firstOffset), topic.log.nextOffset)
    case .time(let timeMs):
      if let offset = topic.log.offset(atOrAfterMs: timeMs) { return offset }
      topic.waitingConnections.append(connection)
      throw .waitForDisk
    }
  }

  // MARK: Going

  /// Takes a consumer away; what it had goes to other members, one attempt later.
  public func remove(_ consumer: Consumer) {
    guard consumers[Int(consumer.number)] === consumer else { return }
    let companion = consumer.companion
    forget(consumer)
    defer { if let companion { remove(companion) } }
    guard let group = consumer.group else {
      consumer.topic.tails.removeAll { $0 === consumer }
      return
    }
    group.consumers.removeAll { $0 === consumer }
    guard consumer.inFlight > 0 else { return }
    var left: [TopicOffset] = []
    group.outstanding.forEach { entry in
      if entry.pointee.state == .inFlight, entry.pointee.consumer == consumer.number {
        left.append(entry.pointee.offset)
      }
    }
    for offset in left { giveBack(group, offset) }
    markDirty(group)
  }

  /// Takes a consumer out of the broker's table and stops its fetches.
  func forget(_ consumer: Consumer) {
    guard consumers[Int(consumer.number)] === consumer else { return }
    consumers[Int(consumer.number)] = nil
    freeConsumers.append(consumer.number)
    for fetch in consumer.fetches { stopTimer(fetch.timer) }
    consumer.fetches = []
    consumer.companion?.companion = nil
    consumer.companion = nil
  }

  /// Whether the broker still knows this consumer.
  public func isPresent(_ consumer: Consumer) -> Bool { consumers[Int(consumer.number)] === consumer }

  /// Stops or resumes deliveries, as the connection's unsent bytes demand.
  public func setPaused(_ consumer: Consumer, _ isPaused: Bool) {
    guard consumer.isPaused != isPaused else { return }
    consumer.isPaused = isPaused
    if let companion = consumer.companion { setPaused(companion, isPaused) }
    guard !isPaused else { return }
    if let group = consumer.group { markDirty(group) } else { markTailsDirty(consumer.topic) }
  }

  // MARK: Moving

  /// Moves a group, made when it is not there; what was given out is forgotten and may be delivered anew. Gives where it
  /// really begins.
  public func seek(
    topic name: UnsafeRawBufferPointer, group groupName: UnsafeRawBufferPointer, to start: StartPosition,
    connection: UInt64
  ) throws(BrokerStop) -> Answer<TopicOffset> {
    try requireWorking()
    let topic = try topicOnUse(name)
    let offset = try offset(of: start, topic, connection)
    var options = ConsumerOptions()
    options.from = .offset(offset)
    let group = try group(topic, groupName, options, connection)
    recordAcks(group)
    records.begin(Decision.moved.rawValue)
    records.append(group.number)
    records.append(offset)
    records.finish()
    group.moveTo(offset)
    markDirty(group)
    return answer(offset)
  }

  /// The group of these names.
  ///
  /// - Throws: `notFound`.
  public func existingGroup(
    _ topicName: UnsafeRawBufferPointer, _ groupName: UnsafeRawBufferPointer
  ) throws(BrokerStop) -> Group {
    try requireWorking()
    let topic = try existingTopic(topicName)
    if let group = findGroup(topic, groupName) { return group }
    throw .refuse(.notFound, "topic '\(topic.name)' has no group '\(String(decoding: groupName, as: UTF8.self))'")
  }

  // MARK: Marks

  func markDirty(_ group: Group) {
    guard !group.isDirty else { return }
    group.isDirty = true
    // Credit that comes free here may be wanted there; and first there, so that neither takes all of it always.
    if group.hasCompanions {
      for consumer in group.consumers { if let other = consumer.companion?.group { markDirty(other) } }
    }
    dirtyGroups.append(group)
  }

  /// Something was appended by the record `sequence`: whoever reads the topic has work.
  func appended(_ topic: Topic, by sequence: Sequence) {
    topic.appendSequence = sequence
    for group in topic.groups where !group.isDirty && !group.consumers.isEmpty { markDirty(group) }
    if !topic.tails.isEmpty { markTailsDirty(topic) }
    watchRetention(topic)
  }

  func markTailsDirty(_ topic: Topic) {
    if !topic.tails.isEmpty, !dirtyTails.contains(where: { $0 === topic }) { dirtyTails.append(topic) }
  }
}
