// Relays: queues in which messages are pending, like scheduled ones, and that pass each on when it is released: it is appended to
// the relay's log and ends there in the letters that the router says, in one record, as a dead letter does.
//
// Holds: a released message stands in `overdue` until the record of its end, so that a crash between the two loses nothing; a
// name is given to one pending message of a relay at a time, and the later one takes the place of the earlier.
// Leaves to others: how messages wait (Pending), how they end (Queues), where they go (DeadLetterRouter).

import DelayStore
import Primitives

extension Queues {
  /// Makes a message pending in a relay. Without a name it gets one from `sequence`.
  func postpone(_ parts: MessageParts, _ topic: Topic, dueMs: UnixMs, _ atMs: UnixMs, _ sequence: Sequence) {
    withGivenID(parts, sequence) { parts in
      withUnsafeTemporaryAllocation(byteCount: parts.recordLength, alignment: 8) { memory in
        let base = memory.baseAddress!
        MessageRecord.write(parts, sequence: sequence, dueMs: dueMs, stampMs: atMs, topic: topic.number, at: base)
        pending.schedule(
          MessageRecord(base), topic, leaveMs: dueMs, hash: hasher.hash(topic: topic.number, id: parts.id))
      }
    }
  }

  /// Lends `body` the message under its id or, if it has none, one that is made from `sequence`.
  func withGivenID(_ parts: MessageParts, _ sequence: Sequence, _ body: (MessageParts) -> Void) {
    guard parts.id.isEmpty else { return body(parts) }
    withUnsafeTemporaryAllocation(byteCount: GeneratedID.length, alignment: 1) { text in
      var parts = parts
      GeneratedID(sequence).write(to: text.baseAddress!)
      parts.id = UnsafeRawBufferPointer(text)
      body(parts)
    }
  }
}

extension Broker {
  /// Makes a relay. `QueueTarget`s put messages into it.
  ///
  /// - Throws: `limitExceeded`, `diskFull`, `storageFailed`.
  public func makeRelay(_ name: String) throws(BrokerStop) -> Group {
    try makeQueue(name, retentionMs: Topic.retentionMsOfRelays)
  }

  /// Cancels the message of this name that is pending in a relay; false when there is none.
  public func cancel(_ id: UnsafeRawBufferPointer, in relay: Group) throws(BrokerStop) -> Answer<Bool> {
    try requireWorking()
    let hash = hasher.hash(topic: relay.topic.number, id: id)
    guard pending.place(of: hash) != nil else { return answer(false) }
    pending.apply(turn.write(Cancelled(hash: hash, topic: relay.topic.number, atMs: nowMs)))
    turn.counters.cancelled += 1
    return answer(true)
  }
}
