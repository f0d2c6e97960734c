// Returning: one decision ends a delivery and puts a copy of its message elsewhere, now or later.

import Primitives
import TopicLog

extension Broker {
  /// The message of a delivery; nil when the consumer does not have it any more. Good until the next command.
  ///
  /// - Throws: `waitForDisk` when it must be read.
  public func delivered(_ consumer: Consumer, _ offset: TopicOffset) throws(BrokerStop) -> MessageRecord? {
    try requireWorking()
    guard isHolding(consumer, offset) else { return nil }
    var cursor = TopicCursor(offset: offset)
    switch consumer.topic.log.read(&cursor) {
    case .record(let message): return message
    case .trimmed, .lost, .end, .forgotten: return nil
    case .loading:
      consumer.topic.wait(consumer.connection)
      throw .waitForDisk
    }
  }

  /// Whether a message is with this consumer. O(1).
  public func isHolding(_ consumer: Consumer, _ offset: TopicOffset) -> Bool {
    guard let entry = consumer.group?.outstanding.find(offset) else { return false }
    return entry.pointee.state == .inFlight && entry.pointee.consumer == consumer.number
  }

  /// Ends a delivery and puts a copy with these headers at the end of another topic, which is made if it is not there.
  ///
  /// - Parameter message: what `delivered` gave for it.
  public func pass(
    _ message: MessageRecord, of consumer: Consumer, headers: UnsafeRawBufferPointer,
    to name: UnsafeRawBufferPointer
  ) throws(BrokerStop) {
    try requireSpace()
    let target = try topics.always(name)
    let group = requiredGroup(consumer)
    groups.forward(message, headers: headers, group, to: target)
    groups.markDirty(group)
    turn.counters.deadLettered += 1
  }

  /// Ends a delivery and schedules a copy with these headers into another topic, which is made if it is not there. The copy
  /// has an id of its own.
  ///
  /// - Parameter message: what `delivered` gave for it.
  /// - Throws: `delayOutOfRange`, `limitExceeded`, `diskFull`; then nothing has changed.
  public func postpone(
    _ message: MessageRecord, of consumer: Consumer, headers: UnsafeRawBufferPointer,
    to name: UnsafeRawBufferPointer, delayMs: Int64
  ) throws(BrokerStop) {
    try requireSpace()
    try requireRoom()
    let dueMs = try dueTime(.delay(delayMs))
    let target = try topics.always(name)
    let group = requiredGroup(consumer)
    var parts = message.parts
    parts.headers = headers
    groups.recordEnds(group)
    _ = acceptWithMadeID(parts) { parts in
      let copy = MessageDraft(
        parts: parts, sequence: MessageSequence.of(record: turn.records.nextSequence), dueMs: dueMs,
        stampMs: turn.nowMs, topic: target.number)
      apply(
        turn.write(
          Returned(
            group: group.number, offset: message.sequence, leaveMs: pending.leaveMs(dueMs, topic: target.number),
            message: .draft(copy))))
    }
    groups.markDirty(group)
    turn.counters.refused += 1
  }

  func apply(_ returned: Returned) {
    pending.apply(Scheduled(leaveMs: returned.leaveMs, message: returned.message))
    if let group = groups[returned.group] { groups.finish(returned.offset, in: group) }
  }

  private func requiredGroup(_ consumer: Consumer) -> Group {
    guard let group = consumer.group else { preconditionFailure("a private tail has nothing to give back") }
    return group
  }

  /// A keyed hash of a text, by which it can be told later that this log made it. 128 bits; does not reveal the key.
  public func mark(of text: UnsafeRawBufferPointer) -> IDHash {
    // No topic has this number, so a mark is never equal to the hash of an id.
    hasher.hash(topic: .max - 1, id: text)
  }
}
