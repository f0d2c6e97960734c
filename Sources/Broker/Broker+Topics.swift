// Topics: made on first use or by name, listed, trimmed, deleted.

import DelayStore
import Primitives
import TopicLog

extension Broker {
  /// The topic of this name; nil when there is none. O(1).
  public func findTopic(_ name: UnsafeRawBufferPointer) -> Topic? {
    if let lastTopic, lastTopic.nameBytes.count == name.count, lastTopic.nameBytes.elementsEqual(name) {
      return lastTopic
    }
    guard let topic = topicsByName[hasher.hash(topic: 0, id: name)] else { return nil }
    lastTopic = topic
    return topic
  }

  func existingTopic(_ name: UnsafeRawBufferPointer) throws(BrokerStop) -> Topic {
    if let topic = findTopic(name) { return topic }
    throw .refuse(.notFound, "there is no topic '\(String(decoding: name, as: UTF8.self))'")
  }

  /// The topic of this name, made if it may come into being on first use.
  func topicOnUse(_ name: UnsafeRawBufferPointer) throws(BrokerStop) -> Topic {
    if let topic = findTopic(name) { return topic }
    try requireTopicCanBeMade(name)
    return try makeTopic(name, settings.retentionMsDefault, settings.retentionBytesDefault)
  }

  /// The topic of this name, made if it is not there, whatever holds for first use.
  func topicAlways(_ name: UnsafeRawBufferPointer) throws(BrokerStop) -> Topic {
    if let topic = findTopic(name) { return topic }
    return try makeTopic(name, settings.retentionMsDefault, settings.retentionBytesDefault)
  }

  /// Refuses if a topic that is not there may not come into being on first use.
  func requireTopicCanBeMade(_ name: UnsafeRawBufferPointer) throws(BrokerStop) {
    guard settings.createsOnUse else {
      throw .refuse(
        .notFound, "there is no topic '\(String(decoding: name, as: UTF8.self))', and topics are not made on use here")
    }
    guard topics.count < settings.topicsMax else {
      throw .refuse(.limitExceeded, "there are \(topics.count) topics, and no more are allowed")
    }
  }

  func makeTopic(
    _ name: UnsafeRawBufferPointer, _ retentionMs: Int64, _ retentionBytes: Int64
  ) throws(BrokerStop) -> Topic {
    guard topics.count < settings.topicsMax else {
      throw .refuse(.limitExceeded, "there are \(topics.count) topics, and no more are allowed")
    }
    records.begin(DecisionKind.topicCreated.rawValue)
    records.append(nextTopic)
    records.append(retentionMs)
    records.append(retentionBytes)
    records.append(bytes: name)
    records.finish()
    return addTopic(nextTopic, String(decoding: name, as: UTF8.self), retentionMs, retentionBytes)
  }

  @discardableResult
  func addTopic(
    _ number: UInt32, _ name: String, _ retentionMs: Int64, _ retentionBytes: Int64, firstOffset: TopicOffset = 0
  ) -> Topic {
    let isQueue = retentionMs == QueueContents.retentionMs
    let segmentBytes = isQueue ? settings.queueSegmentBytes : settings.segmentBytes
    let log = TopicLog(topic: number, firstOffset: firstOffset, segmentBytes: segmentBytes, cache: cache, io: io)
    let topic = Topic(number: number, name: name, log: log, retentionMs: retentionMs, retentionBytes: retentionBytes)
    log.chunkLoaded = { [unowned self, unowned topic] in chunkLoaded(topic) }
    topics[number] = topic
    topic.nameBytes.withUnsafeBytes { topicsByName[hasher.hash(topic: 0, id: $0)] = topic }
    nextTopic = max(nextTopic, number + 1)
    return topic
  }

  /// Makes a topic; false when it is there already with the same settings.
  ///
  /// - Throws: `exists` when it is there with other settings, `limitExceeded`.
  public func createTopic(
    _ name: UnsafeRawBufferPointer, retentionMs: Int64?, retentionBytes: Int64?
  ) throws(BrokerStop) -> Answer<Bool> {
    try requireSpace()
    let age = retentionMs ?? settings.retentionMsDefault
    let size = retentionBytes ?? settings.retentionBytesDefault
    guard let topic = findTopic(name) else {
      _ = try makeTopic(name, age, size)
      return answer(true)
    }
    if topic.retentionMs == age, topic.retentionBytes == size { return answer(false) }
    throw .refuse(
      .exists,
      "topic '\(topic.name)' exists with retentionMs \(topic.retentionMs) and retentionBytes \(topic.retentionBytes)")
  }

  /// Deletes a topic with its pending messages and its groups; false when there is none. Its consumers get `ended`.
  public func deleteTopic(_ name: UnsafeRawBufferPointer) throws(BrokerStop) -> Answer<Bool> {
    try requireWorking()
    guard let topic = findTopic(name) else { return answer(false) }
    records.begin(DecisionKind.topicDeleted.rawValue)
    records.append(topic.number)
    records.finish()
    dropTopic(topic)
    return answer(true)
  }

  func dropTopic(_ topic: Topic) {
    if topic.isQueue, let group = topic.groups.first { stopExpiries(topic, group.committed..<topic.log.nextOffset) }
    topic.isAlive = false
    topics[topic.number] = nil
    topic.nameBytes.withUnsafeBytes { topicsByName[hasher.hash(topic: 0, id: $0)] = nil }
    lastTopic = nil
    for consumer in topic.tails + topic.groups.flatMap(\.consumers) {
      // A fetch that waits is answered now: nothing will ever come for it.
      for fetch in consumer.fetches { effects.append(.notice(.fetched(consumer, token: fetch.token, []))) }
      effects.append(.notice(.ended(consumer)))
      let companion = consumer.companion
      forget(consumer)
      if let companion { remove(companion) }
    }
    held.drop(topic: topic.number)
    for group in topic.groups {
      groups[Int(group.number)] = nil
      groupCount -= 1
    }
    for connection in topic.waitingConnections { effects.append(.notice(.retry(connection: connection))) }
    topic.waitingConnections = []
    obsoletePaths += topic.log.allPaths()
    obsoleteDirectories.append(TopicLog.directory(topic.number))
    topic.log.dropMemory()
    // Its pending messages stay where they are and are dropped when their time comes: finding them all now would stop the
    // loop for as long as there are messages.
  }

  /// All topics, by name.
  public var topicsInOrder: [Topic] { topics.values.sorted { $0.name < $1.name } }

  /// The groups of a topic, by name.
  public func groupsInOrder(_ topic: Topic) -> [Group] { topic.groups.sorted { $0.name < $1.name } }

  func chunkLoaded(_ topic: Topic) {
    for group in topic.groups where group.waitsForDisk {
      group.waitsForDisk = false
      markDirty(group)
    }
    markTailsDirty(topic)
    for connection in topic.waitingConnections { effects.append(.notice(.retry(connection: connection))) }
    topic.waitingConnections = []
  }

  // MARK: Retention

  /// Lets go of old segments when it is time to look. O(topics), at most once a second, and only while there is something
  /// that could become too old: topics without messages never wake the server.
  func trimIfTime() {
    guard nowMs >= nextRetentionMs else { return }
    var next = UnixMs.max
    // By number, not by hash: the same run writes the same records.
    for topic in topics.values.sorted(by: { $0.number < $1.number }) where !topic.isQueue {
      let oldestMs = nowMs.subtractingReportingOverflow(topic.retentionMs)
      let limitMs = oldestMs.overflow ? UnixMs.min : oldestMs.partialValue
      topic.log.sealIfOld(olderThanMs: nowMs - topic.sealAfterMs)
      let target = topic.log.trimTarget(olderThanMs: limitMs, bytesMax: Int(clamping: topic.retentionBytes))
      if target > topic.log.firstOffset {
        records.begin(DecisionKind.trimmed.rawValue)
        records.append(topic.number)
        records.append(target)
        records.finish()
        topic.log.trim(to: target)
        for group in topic.groups where !group.consumers.isEmpty { markDirty(group) }
      }
      if let startMs = topic.log.activeSegmentStartMs { next = min(next, startMs + topic.sealAfterMs + 1) }
      let due = (topic.log.oldestSegmentEndMs ?? .max).addingReportingOverflow(topic.retentionMs)
      next = min(next, due.overflow || due.partialValue == .max ? .max : due.partialValue + 1)
    }
    nextRetentionMs = max(next, nowMs + 1000)
  }

  /// Something was appended: its segment is to be sealed in time, and the bytes may be too many now.
  func watchRetention(_ topic: Topic) {
    guard !topic.isQueue else { return }
    nextRetentionMs = min(nextRetentionMs, nowMs + (topic.retentionBytes == .max ? topic.sealAfterMs + 1 : 1000))
  }
}
