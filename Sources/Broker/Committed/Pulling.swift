// Commands of groups whose members pull: how far they have come, and waiting for more.

import Primitives
import TopicLog

extension Broker {
  /// Keeps how far a group has consumed a queue: the offset of the next message that it wants. Nothing is recorded when it is
  /// known already.
  ///
  /// - Throws: `limitExceeded` when there are as many groups as allowed.
  public func commitOffset(
    _ offset: UInt64, ofQueue queue: UInt8, in topic: Topic, group: UnsafeRawBufferPointer
  ) throws(BrokerStop) -> Gate {
    try requireWorking()
    let name = String(decoding: group, as: UTF8.self)
    if committed.offset(topic.number, name, queue) == offset { return gate }
    guard committed.has(topic.number, name) || committed.count < settings.groupsMax else {
      throw .refuse(.limitExceeded, "\(committed.count) groups have offsets of topics, and no more are allowed")
    }
    committed.apply(
      turn.write(OffsetCommitted(topic: topic.number, offset: offset, queue: queue, group: group)))
    return gate
  }

  /// How far a group has consumed a queue; nil where it never said.
  public func committedOffset(ofQueue queue: UInt8, in topic: Topic, group: UnsafeRawBufferPointer) -> UInt64? {
    committed.offset(topic.number, String(decoding: group, as: UTF8.self), queue)
  }

  /// The groups that have committed offsets of a topic, by name.
  public func committedGroups(of topic: Topic) -> [String] { committed.groups(topic.number) }

  /// Notifies a connection once, by `Notice.grown`, when something is appended to the topic, or it is deleted. O(1).
  public func watch(_ topic: Topic, for connection: UInt64) { topic.addWatcher(connection) }

  /// Forgets that a connection watches a topic.
  public func unwatch(_ topic: Topic, for connection: UInt64) { topic.removeWatcher(connection) }

  /// Notifies a connection once, by `Notice.retry`, when a part of the topic that is being read from disk has come.
  public func waitForLoad(of topic: Topic, _ connection: UInt64) { topic.wait(connection) }

  /// The topic of this name, made if it may come into being on first use.
  ///
  /// - Parameter always: make it whatever holds for first use.
  public func topicOnUse(_ name: UnsafeRawBufferPointer, always: Bool = false) throws(BrokerStop) -> Topic {
    if let topic = topics.find(name) { return topic }
    try requireSpace()
    return always ? try topics.always(name) : try topics.onUse(name)
  }

  /// The topic of this number; nil when there is none.
  public func topic(_ number: UInt32) -> Topic? { topics[number] }

  func apply(_ decision: OffsetCommitted) {
    if topics[decision.topic] != nil { committed.apply(decision) }
  }
}
