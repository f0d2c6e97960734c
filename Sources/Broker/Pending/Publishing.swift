// Publishing: messages that go into their topic at once.

import Primitives
import TopicLog

extension Broker {
  /// Appends a message to its topic.
  ///
  /// - Throws: `exists` when a message of the same id is pending. One released in the window is not published again: the
  ///   answer has its offset.
  public func publish(
    topic name: UnsafeRawBufferPointer, _ parts: MessageParts
  ) throws(BrokerStop) -> Answer<PublishReply> {
    try requireSpace()
    try requireFitting(parts)
    let topic = try topics.onUse(name)
    guard parts.id.count > 0 else {
      var offset: TopicOffset = 0
      let madeID = acceptWithMadeID(parts) { parts in
        offset = append(parts, topic, hasher.hash(topic: topic.number, id: parts.id))
      }
      return answer(PublishReply(madeID: madeID, offset: offset))
    }
    let hash = hasher.hash(topic: topic.number, id: parts.id)
    if pending.place(of: hash) != nil {
      throw .refuse(.exists, "a message with this id is pending in topic '\(topic.name)'")
    }
    if case .released(let offset, _)? = pending.outcome(of: hash) {
      return answer(PublishReply(madeID: nil, offset: offset))
    }
    return answer(PublishReply(madeID: nil, offset: append(parts, topic, hash)))
  }

  private func append(_ parts: MessageParts, _ topic: Topic, _ hash: IDHash) -> TopicOffset {
    let draft = MessageDraft(
      parts: parts, sequence: records.nextSequence, dueMs: nowMs, stampMs: nowMs, topic: topic.number)
    let offset = apply(turn.write(Published(atMs: nowMs, message: .draft(draft))), topic, hash)
    turn.counters.published += 1
    groups.appended(topic, by: records.lastSequence)
    return offset
  }

  func apply(_ published: Published) {
    turn.note(published.atMs)
    let record = published.message.record
    guard let topic = topics[record.topic] else { return topics.noteNumber(record.topic) }
    _ = apply(published, topic, hasher.hash(topic: topic.number, id: record.id))
  }

  /// As `apply`, when the topic and the hash of the id are known already; gives the offset.
  private func apply(_ published: Published, _ topic: Topic, _ hash: IDHash) -> TopicOffset {
    let record = published.message.record
    // An earlier message of this id may have been released and not retired. It is retired first, so that its outcome does not
    // replace this one's.
    _ = pending.place(of: hash)
    let offset = topic.log.append(copyOf: record, releasedMs: published.atMs)
    pending.remember(hash, .released(offset: offset, dueMs: record.dueMs), atMs: published.atMs)
    return offset
  }
}
