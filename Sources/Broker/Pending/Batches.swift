// Many messages in one command: decided one after the other, written as one record, so that all of them are accepted or
// none is.

import DelayStore
import Primitives

/// A batch in the making: what was decided about each message, and the bytes of the record to be written.
public final class ScheduleBatch {
  struct Entry {
    /// Where its part of the record begins.
    var position: Int
    var dueMs: UnixMs
    var hash: IDHash
  }

  let topicName: [UInt8]
  /// The topic; nil when it is not there yet.
  let topic: Topic?
  let connection: UInt64
  /// The topic's number, which it will get if it is not there yet.
  let topicNumber: UInt32
  /// The sequence that the batch's record will have.
  let recordSequence: Sequence
  @exclusivity(unchecked) var bytes: [UInt8] = []
  @exclusivity(unchecked) var entries: [Entry] = []
  /// When those with an id of the client's are due; nobody names an id that the server makes now.
  @exclusivity(unchecked) var pendingInBatch: [IDHash: UnixMs] = [:]
  /// Messages that will be pending in addition: those that replace none.
  @exclusivity(unchecked) var addedCount = 0
  /// What became of each message so far.
  @exclusivity(unchecked) var replies: [ScheduleReply] = []

  /// Messages of one batch; they share ten bits of the sequence.
  public static let messagesMax = 1000

  init(
    _ name: UnsafeRawBufferPointer, _ topic: Topic?, connection: UInt64, newNumber: UInt32, recordSequence: Sequence
  ) {
    topicName = Array(name)
    self.topic = topic
    self.connection = connection
    topicNumber = topic?.number ?? newNumber
    self.recordSequence = recordSequence
  }
}

extension Broker {
  /// Begins a batch for one topic. Nothing changes before `commit`, and no other command may come in between.
  public func beginBatch(topic name: UnsafeRawBufferPointer, connection: UInt64) throws(BrokerStop) -> ScheduleBatch {
    try requireSpace()
    let topic = findTopic(name)
    if topic == nil { try topics.requireCanBeMade(name) }
    // The record that makes the topic comes first.
    return ScheduleBatch(
      name, topic, connection: connection, newNumber: topics.nextNumber,
      recordSequence: records.nextSequence + (topic == nil ? 1 : 0))
  }

  /// Decides about one more message, as `schedule` would.
  public func add(
    _ parts: MessageParts, due: DueTime, ifExists: IfExists, to batch: ScheduleBatch
  ) throws(BrokerStop) {
    let dueMs = try dueTime(due)
    try requireFitting(parts)
    guard batch.bytes.count + 8 + parts.recordLength <= DecisionKind.messageBytesMax else {
      throw .refuse(
        .bodyTooLarge, "the messages have more than the \(DecisionKind.messageBytesMax) bytes of one record")
    }
    guard parts.id.count > 0 else {
      try takeRoom(batch, 1, parts)
      return addWithMadeID(parts, dueMs, batch)
    }
    let hash = hasher.hash(topic: batch.topicNumber, id: parts.id)
    var outcome = ScheduleReply.Outcome.scheduled
    if let pendingMs = try pendingDueMs(hash, batch) {
      switch ifExists {
      case .keep:
        batch.replies.append(ScheduleReply(madeID: nil, deliverAtMs: pendingMs, outcome: .kept))
        return
      case .reject: throw .refuse(.exists, "a message with this id is pending")
      case .replace: outcome = .replaced
      }
    } else if case .released(_, let releasedMs)? = pending.outcome(of: hash) {
      if ifExists == .reject { throw .refuse(.exists, "a message with this id was released") }
      batch.replies.append(ScheduleReply(madeID: nil, deliverAtMs: releasedMs, outcome: .released))
      return
    }
    try takeRoom(batch, outcome == .scheduled ? 1 : 0, parts)
    append(parts, dueMs, hash, batch)
    batch.pendingInBatch[hash] = dueMs
    batch.replies.append(ScheduleReply(madeID: nil, deliverAtMs: dueMs, outcome: outcome))
  }

  /// - Parameter count: how many more messages will be pending.
  private func takeRoom(_ batch: ScheduleBatch, _ count: Int, _ parts: MessageParts) throws(BrokerStop) {
    if count > 0 { try requireRoom(besides: batch.addedCount) }
    try requireRoom(in: batch.topic, count: batch.addedCount + count, bytes: batch.bytes.count + parts.recordLength)
    batch.addedCount += count
  }

  private func pendingDueMs(_ hash: IDHash, _ batch: ScheduleBatch) throws(BrokerStop) -> UnixMs? {
    if let dueMs = batch.pendingInBatch[hash] { return dueMs }
    guard let place = pending.place(of: hash) else { return nil }
    return try coldReads.record(at: place, batch.connection).dueMs
  }

  private func addWithMadeID(_ parts: MessageParts, _ dueMs: UnixMs, _ batch: ScheduleBatch) {
    let madeID = GeneratedID(MessageSequence.of(record: batch.recordSequence, position: batch.entries.count))
    withMadeID(madeID, parts) { parts in
      let hash = hasher.hash(topic: batch.topicNumber, id: parts.id)
      // `commit` will need it.
      pending.prefetchEntry(hash)
      append(parts, dueMs, hash, batch)
    }
    batch.replies.append(ScheduleReply(madeID: madeID, deliverAtMs: dueMs, outcome: .scheduled))
  }

  private func append(_ parts: MessageParts, _ dueMs: UnixMs, _ hash: IDHash, _ batch: ScheduleBatch) {
    let position = batch.bytes.count
    let length = parts.recordLength
    let sequence = MessageSequence.of(record: batch.recordSequence, position: batch.entries.count)
    batch.bytes.append(contentsOf: repeatElement(0, count: 8 + length))
    batch.bytes.withUnsafeMutableBytes { bytes in
      MessageRecord.write(
        parts, sequence: sequence, dueMs: dueMs, stampMs: nowMs, topic: batch.topicNumber,
        at: bytes.baseAddress! + position + 8)
    }
    batch.entries.append(ScheduleBatch.Entry(position: position, dueMs: dueMs, hash: hash))
  }

  /// Accepts the whole batch in one record.
  public func commit(_ batch: ScheduleBatch) throws(BrokerStop) -> Answer<[ScheduleReply]> {
    guard !batch.entries.isEmpty else { return answer(batch.replies) }
    let topic = try batch.topicName.withBytes { name throws(BrokerStop) in try topics.onUse(name) }
    precondition(
      topic.number == batch.topicNumber && records.nextSequence == batch.recordSequence,
      "something came between the parts of a batch")
    batch.bytes.withUnsafeMutableBytes { bytes in
      for entry in batch.entries {
        let leaveMs = pending.leaveMs(entry.dueMs, topic: topic.number)
        bytes.storeBytes(of: leaveMs.littleEndian, toByteOffset: entry.position, as: Int64.self)
      }
      var position = 0
      turn.write(ScheduledMany(bytes: UnsafeRawBufferPointer(bytes))).forEach {
        pending.apply($0, topic, batch.entries[position].hash)
        position += 1
      }
    }
    turn.counters.scheduled += UInt64(batch.entries.count)
    return answer(batch.replies)
  }
}
