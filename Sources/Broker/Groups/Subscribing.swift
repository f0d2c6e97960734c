// Commands of consumers: subscribing, leaving, pausing, and moving a group's cursor.

import Primitives
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
    let topic = try options.createsAlways ? topics.always(name) : topics.onUse(name)
    guard let groupName else {
      let start = try groups.offset(of: options.from ?? .latest, topic, connection)
      return answer(groups.addConsumer(connection, sub, .tail, topic, nil, options, start: start))
    }
    let group = try groups.onUse(topic, groupName, options, connection)
    let consumer = groups.addConsumer(connection, sub, .subscription, topic, group, options)
    if let companion {
      consumer.pair(with: companion)
      group.noteCompanions()
      companion.group?.noteCompanions()
    }
    return answer(consumer)
  }

  /// The consumer that collects a connection's fetches on a group; made when it is not there.
  public func fetcher(
    topic name: UnsafeRawBufferPointer, group groupName: UnsafeRawBufferPointer, connection: UInt64,
    _ options: ConsumerOptions
  ) throws(BrokerStop) -> Consumer {
    try requireWorking()
    let group = try groups.onUse(try topics.onUse(name), groupName, options, connection)
    return groups.fetcher(of: group, connection: connection, options)
  }

  /// The group of this name in a topic; nil when there is none.
  public func findGroup(_ topic: Topic, _ name: UnsafeRawBufferPointer) -> Group? { groups.find(topic, name) }

  /// The group of these names.
  ///
  /// - Throws: `notFound`.
  public func existingGroup(
    _ topicName: UnsafeRawBufferPointer, _ groupName: UnsafeRawBufferPointer
  ) throws(BrokerStop) -> Group {
    try requireWorking()
    let topic = try topics.existing(topicName)
    if let group = findGroup(topic, groupName) { return group }
    throw .refuse(.notFound, "topic '\(topic.name)' has no group '\(String(decoding: groupName, as: UTF8.self))'")
  }

  // MARK: Going

  /// Removes a consumer. The messages that it had are delivered again, to other members.
  public func remove(_ consumer: Consumer) { groups.remove(consumer) }

  /// A consumer takes nothing any more; what it has stays with it until it is acknowledged, or `remove` follows.
  public func retire(_ consumer: Consumer) {
    consumer.setLeaving()
    if let group = consumer.group { groups.markDirty(group) }
  }

  /// Whether the broker still knows this consumer.
  public func isPresent(_ consumer: Consumer) -> Bool { groups.isPresent(consumer) }

  /// Stops or resumes deliveries, as the connection's unsent bytes demand.
  public func setPaused(_ consumer: Consumer, _ isPaused: Bool) {
    guard consumer.isPaused != isPaused else { return }
    consumer.setPaused(isPaused)
    if let companion = consumer.companion { setPaused(companion, isPaused) }
    guard !isPaused else { return }
    if let group = consumer.group { groups.markDirty(group) } else { groups.markTailsDirty(consumer.topic) }
  }

  // MARK: Moving

  /// Moves a group's cursor; makes the group when it is not there. Outstanding messages are forgotten and may be delivered
  /// again. Gives the offset at which the group really begins.
  public func seek(
    topic name: UnsafeRawBufferPointer, group groupName: UnsafeRawBufferPointer, to start: StartPosition,
    connection: UInt64
  ) throws(BrokerStop) -> Answer<TopicOffset> {
    try requireWorking()
    let topic = try topics.onUse(name)
    let offset = try groups.offset(of: start, topic, connection)
    var options = ConsumerOptions()
    options.from = .offset(offset)
    let group = try groups.onUse(topic, groupName, options, connection)
    groups.recordEnds(group)
    groups.apply(turn.write(Moved(group: group.number, offset: offset)))
    groups.markDirty(group)
    return answer(offset)
  }
}

extension Groups {
  func find(_ topic: Topic, _ name: UnsafeRawBufferPointer) -> Group? {
    topic.groups.first { $0.name.utf8.count == name.count && $0.name.utf8.elementsEqual(name) }
  }

  /// The group of this name, made if it may come into being on first use.
  func onUse(
    _ topic: Topic, _ name: UnsafeRawBufferPointer, _ options: ConsumerOptions, _ connection: UInt64
  ) throws(BrokerStop) -> Group {
    if let group = find(topic, name) { return group }
    guard settings.createsOnUse || options.createsAlways else {
      throw .refuse(
        .notFound, "there is no group '\(String(decoding: name, as: UTF8.self))', and groups are not made on use here")
    }
    try requireRoom()
    return make(topic, name, start: try offset(of: options.from ?? .earliest, topic, connection), queue: nil)
  }

  func requireRoom() throws(BrokerStop) {
    guard count < settings.groupsMax else {
      throw .refuse(.limitExceeded, "there are \(count) groups, and no more are allowed")
    }
  }

  func make(_ topic: Topic, _ name: UnsafeRawBufferPointer, start: TopicOffset, queue: QueueRules?) -> Group {
    let created = turn.write(
      GroupCreated(group: nextNumber, topic: topic.number, startOffset: start, name: name))
    guard let group = apply(created, queue: queue) else { preconditionFailure("a group is made in a living topic") }
    return group
  }

  /// - Throws: `waitForDisk` when the log must be read for it.
  func offset(of start: StartPosition, _ topic: Topic, _ connection: UInt64) throws(BrokerStop) -> TopicOffset {
    switch start {
    case .earliest: return topic.log.firstOffset
    case .latest: return topic.log.nextOffset
    case .offset(let offset): return min(max(offset, topic.log.firstOffset), topic.log.nextOffset)
    case .time(let timeMs):
      if let offset = topic.log.offset(atOrAfterMs: timeMs) { return offset }
      topic.wait(connection)
      throw .waitForDisk
    }
  }

  func fetcher(of group: Group, connection: UInt64, _ options: ConsumerOptions) -> Consumer {
    guard let known = group.consumers.first(where: { $0.connection == connection && $0.kind == .fetcher }) else {
      return addConsumer(connection, 0, .fetcher, group.topic, group, options)
    }
    adopt(options, group)
    known.setOptions(options)
    return known
  }
}
