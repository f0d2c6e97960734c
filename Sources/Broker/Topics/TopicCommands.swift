// Commands about topics: made on first use or by name, listed, deleted.

import Primitives
import TopicLog

extension Topics {
  /// The topic of this name.
  ///
  /// - Throws: `notFound`.
  func existing(_ name: UnsafeRawBufferPointer) throws(BrokerStop) -> Topic {
    if let topic = find(name) { return topic }
    throw .refuse(.notFound, "there is no topic '\(String(decoding: name, as: UTF8.self))'")
  }

  /// The topic of this name, made if it may come into being on first use.
  func onUse(_ name: UnsafeRawBufferPointer) throws(BrokerStop) -> Topic {
    if let topic = find(name) { return topic }
    try requireCanBeMade(name)
    return try make(name)
  }

  /// The topic of this name, made if it is not there, whatever holds for first use.
  func always(_ name: UnsafeRawBufferPointer) throws(BrokerStop) -> Topic {
    if let topic = find(name) { return topic }
    return try make(name)
  }

  /// Refuses if a topic that is not there may not come into being on first use.
  func requireCanBeMade(_ name: UnsafeRawBufferPointer) throws(BrokerStop) {
    guard settings.createsOnUse else {
      throw .refuse(
        .notFound, "there is no topic '\(String(decoding: name, as: UTF8.self))', and topics are not made on use here")
    }
    try requireRoom()
  }

  private func requireRoom() throws(BrokerStop) {
    guard count < settings.topicsMax else {
      throw .refuse(.limitExceeded, "there are \(count) topics, and no more are allowed")
    }
  }

  /// Makes a topic; without limits, it is kept as the settings say.
  func make(
    _ name: UnsafeRawBufferPointer, retentionMs: Int64? = nil, retentionBytes: Int64? = nil
  ) throws(BrokerStop) -> Topic {
    try requireRoom()
    return apply(
      turn.write(
        TopicCreated(
          topic: nextNumber, retentionMs: retentionMs ?? settings.retentionMsDefault,
          retentionBytes: retentionBytes ?? settings.retentionBytesDefault, name: name)))
  }
}

extension Broker {
  /// The topic of this name, made if it may come into being on first use.
  ///
  /// - Throws: `notFound`, `limitExceeded`, `diskFull`.
  public func topic(onUse name: UnsafeRawBufferPointer) throws(BrokerStop) -> Topic {
    try requireSpace()
    return try topics.onUse(name)
  }

  /// The topic of this name; nil when there is none. O(1).
  public func findTopic(_ name: UnsafeRawBufferPointer) -> Topic? { topics.find(name) }

  /// All topics, by name. O(topics log topics).
  public var topicsInOrder: [Topic] { topics.inOrder.sorted { $0.name < $1.name } }

  /// The groups of a topic, by name.
  public func groupsInOrder(_ topic: Topic) -> [Group] { topic.groups.sorted { $0.name < $1.name } }

  /// Makes a topic; false when it is there already with the same settings.
  ///
  /// - Throws: `exists` when it is there with other settings, `limitExceeded`.
  public func createTopic(
    _ name: UnsafeRawBufferPointer, retentionMs: Int64?, retentionBytes: Int64?
  ) throws(BrokerStop) -> Answer<Bool> {
    try requireSpace()
    guard let topic = topics.find(name) else {
      _ = try topics.make(name, retentionMs: retentionMs, retentionBytes: retentionBytes)
      return answer(true)
    }
    if topic.retentionMs == retentionMs ?? settings.retentionMsDefault,
      topic.retentionBytes == retentionBytes ?? settings.retentionBytesDefault
    {
      return answer(false)
    }
    throw .refuse(
      .exists,
      "topic '\(topic.name)' exists with retentionMs \(topic.retentionMs) and retentionBytes \(topic.retentionBytes)")
  }

  /// Deletes a topic with its pending messages and its groups; false when there is none. Its consumers get `ended`.
  public func deleteTopic(_ name: UnsafeRawBufferPointer) throws(BrokerStop) -> Answer<Bool> {
    try requireWorking()
    guard let topic = topics.find(name) else { return answer(false) }
    apply(turn.write(TopicDeleted(topic: topic.number)))
    return answer(true)
  }

  func apply(_ created: TopicCreated) {
    // A salvage left out the record that the topic which had the name before was deleted.
    if let old = topics.find(created.name) { apply(TopicDeleted(topic: old.number)) }
    topics.apply(created)
  }

  /// Removes a topic from every room. Its pending messages stay where they are and are dropped when they are due: finding
  /// them all now would hold up the loop, the longer the more messages there are.
  func apply(_ deleted: TopicDeleted) {
    guard let topic = topics[deleted.topic] else { return }
    queues.remove(topic)
    groups.remove(topic)
    held.drop(topic: topic.number)
    committed.remove(topic: topic.number)
    topics.remove(topic)
  }
}
