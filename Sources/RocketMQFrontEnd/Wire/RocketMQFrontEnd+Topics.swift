// Topics and their queues, as clients of the remoting protocol see them.
//
// Holds: the queues of a topic are numbers that its messages carry; a topic has as many as were asked for when it was created, or
// as the settings say, and at any rate all that have messages.
// Kept in the catalog, for topics with a number of queues of their own: `rocketmq/queues/<topic>`, the number of the topic, a blank and
// the number of its queues.

import Broker
import Primitives
import RemotingProtocol
import TopicLog

extension RocketMQFrontEnd {
  private static let queuesPrefix = Array("rocketmq/queues/".utf8)

  /// Refuses what cannot be the name of a topic here.
  public func requireTopicName(_ name: UnsafeRawBufferPointer) throws(WireStop) {
    guard TopicNames.isTopic(name), name.count <= PulledMessage.topicBytesMax else {
      let shown = String(decoding: name.prefix(PulledMessage.topicBytesMax), as: UTF8.self)
      throw .refused(
        .systemError,
        "'\(shown)' is no name of a topic: 1 to \(PulledMessage.topicBytesMax) of A-Z a-z 0-9 . _ - and not '.' or '..', "
          + "perhaps behind %RETRY% or %DLQ%")
    }
  }

  /// Refuses what cannot be the name of a consumer group.
  public func requireGroupName(_ name: UnsafeRawBufferPointer) throws(WireStop) {
    let bytesMax = PulledMessage.topicBytesMax - TopicNames.retryPrefix.utf8.count
    guard name.count <= bytesMax, TopicNames.isGroup(name) else {
      let shown = String(decoding: name.prefix(PulledMessage.topicBytesMax), as: UTF8.self)
      throw .refused(
        .systemError, "'\(shown)' is no name of a group: 1 to \(bytesMax) of A-Z a-z 0-9 . _ - and not '.' or '..'")
    }
  }

  /// The topic of this name, made if it may come into being on first use. A group's topics of retries and dead letters always may.
  public func topicOnUse(_ name: UnsafeRawBufferPointer) throws(WireStop) -> Topic {
    if let topic = broker.findTopic(name) { return topic }
    try requireTopicName(name)
    return try asked { () throws(BrokerStop) in try broker.topicOnUse(name, always: TopicNames.isOfGroup(name)) }
  }

  /// Whether clients may be told of a topic as if it were there.
  public func isTopicKnown(_ name: UnsafeRawBufferPointer) -> Bool {
    broker.findTopic(name) != nil || broker.settings.createsOnUse || TopicNames.isOfGroup(name)
      || name.elementsEqual(TopicNames.defaultTopic.utf8)
  }

  /// How many queues of a topic producers choose from.
  public func writeQueues(of name: UnsafeRawBufferPointer) -> Int {
    if TopicNames.isOfGroup(name) { return 1 }
    guard !ownQueues.isEmpty, let topic = broker.findTopic(name) else { return wireSettings.queues }
    return ownQueues[topic.number] ?? wireSettings.queues
  }

  /// The topics with a number of queues of their own, by number, as the catalog says. One whose name has another topic now is no
  /// matter: numbers are not used again.
  static func ownQueues(_ catalog: Catalog) -> [UInt32: Int] {
    var queues: [UInt32: Int] = [:]
    for (name, value) in catalog.entries where name.starts(with: queuesPrefix) {
      let words = String(decoding: value, as: UTF8.self).split(separator: " ")
      if words.count == 2, let number = UInt32(words[0]), let count = Int(words[1]) { queues[number] = count }
    }
    return queues
  }

  /// How many queues of a topic consumers read.
  public func readQueues(of name: UnsafeRawBufferPointer) -> Int {
    max(writeQueues(of: name), broker.findTopic(name)?.log.queueCount ?? 1)
  }

  /// Makes a topic with so many queues, or gives one that is there so many.
  public func createTopic(_ name: UnsafeRawBufferPointer, queues: Int32) throws(WireStop) -> Gate {
    try requireTopicName(name)
    guard 1...WireSettings.queuesMax ~= Int(queues) else {
      throw .refused(.systemError, "a topic has 1 to \(WireSettings.queuesMax) queues, not \(queues)")
    }
    let topic = try asked { () throws(BrokerStop) in try broker.topicOnUse(name, always: true) }
    if queues != writeQueues(of: name) {
      broker.putInCatalog(Self.queuesPrefix + Array(name), Array("\(topic.number) \(queues)".utf8))
      ownQueues[topic.number] = Int(queues)
    }
    return broker.gate
  }

  /// Deletes a topic; nothing happens when it is not there.
  public func deleteTopic(_ name: UnsafeRawBufferPointer) throws(WireStop) -> Gate {
    try requireTopicName(name)
    _ = try asked { () throws(BrokerStop) in try broker.deleteTopic(name) }
    broker.removeFromCatalog(Self.queuesPrefix + Array(name))
    return broker.gate
  }

  /// The topics that this protocol can name, by name.
  public var wireTopics: [Topic] { broker.topicsInOrder.filter { $0.nameBytes.withBytes(TopicNames.isTopic) } }

  /// The queue of a request.
  ///
  /// - Throws: `systemError` when the topic has no such queue.
  public func queue(_ queueID: Int32, of topic: UnsafeRawBufferPointer) throws(WireStop) -> UInt8 {
    guard let queue = UInt8(exactly: queueID), Int(queue) < readQueues(of: topic) else {
      let shown = String(decoding: topic, as: UTF8.self)
      throw .refused(.systemError, "topic '\(shown)' has no queue \(queueID): it has \(readQueues(of: topic))")
    }
    return queue
  }
}
