// Returning: a consumer gives a delivery back for good, and a copy goes elsewhere, now or later, in one decision.

import Primitives
import TopicLog

extension Broker {
  /// The message of a delivery that a consumer holds; nil when it holds it no more. Good until the next command.
  ///
  /// - Throws: `waitForDisk` when it must be read.
  public func delivered(_ consumer: Consumer, _ offset: TopicOffset) throws(BrokerStop) -> MessageRecord? {
    try requireWorking()
    guard isHolding(consumer, offset) else { return nil }
    var cursor = TopicCursor(offset: offset)
    switch consumer.topic.log.read(&cursor) {
    case .record(let message): return message
    case .trimmed, .end, .forgotten: return nil
    case .loading:
      consumer.topic.waitingConnections.append(consumer.connection)
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
    let target = try topicAlways(name)
    let group = requiredGroup(consumer)
    let offset = message.sequence
    forward(message, headers: headers, group, to: target)
    end(group, offset)
    markDirty(group)
    counters.deadLettered += 1
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
    let target = try topicAlways(name)
    let group = requiredGroup(consumer)
    let offset = message.sequence
    var parts = message.parts
    parts.headers = headers
    recordAcks(group)
    _ = acceptWithMadeID(parts) { parts in
      let sequence = MessageSequence.of(record: records.nextSequence)
      let leaveMs = pending.leaveMs(dueMs)
      let length = parts.recordLength
      var record: MessageRecord?
      records.append(kind: DecisionKind.returned.rawValue, payloadCapacity: 20 + length) { payload in
        let base = payload.baseAddress!
        base.storeBytes(of: group.number.littleEndian, as: UInt32.self)
        base.storeBytes(of: offset.littleEndian, toByteOffset: 4, as: UInt64.self)
        base.storeBytes(of: leaveMs.littleEndian, toByteOffset: 12, as: Int64.self)
        MessageRecord.write(
          parts, sequence: sequence, dueMs: dueMs, stampMs: nowMs, topic: target.number, at: base + 20)
        record = MessageRecord(base + 20)
        return 20 + length
      }
      pending.schedule(record!, target, leaveMs: leaveMs, hash: hasher.hash(topic: target.number, id: parts.id))
    }
    end(group, offset)
    markDirty(group)
    counters.refused += 1
  }

  private func requiredGroup(_ consumer: Consumer) -> Group {
    guard let group = consumer.group else { preconditionFailure("a private tail has nothing to give back") }
    return group
  }

  /// A mark on a text that only this data folder can make: 128 bits, keyed. Does not tell the key.
  public func mark(of text: UnsafeRawBufferPointer) -> IDHash {
    // No topic has this number, so no mark is an id's hash.
    hasher.hash(topic: .max - 1, id: text)
  }
}
