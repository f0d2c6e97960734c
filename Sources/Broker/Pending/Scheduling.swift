// Scheduling: accepting, cancelling, rescheduling and looking up pending messages.

import DelayStore
import Primitives

extension Broker {
  /// Accepts a message to be released later. With a due time in the past it is released in the same turn.
  ///
  /// - Throws: `delayOutOfRange`, `badRequest` (negative delay, no such level), `exists`, `diskFull`, `busy`, `limitExceeded`,
  ///   `bodyTooLarge`, `notFound`; `waitForDisk` when the id is pending on disk and its due time must be read.
  public func schedule(_ command: ScheduleCommand) throws(BrokerStop) -> Answer<ScheduleReply> {
    try requireSpace()
    let dueMs = try dueTime(command.due)
    try requireFitting(command.parts)
    let topic = try topics.onUse(command.topic)
    var outcome = ScheduleReply.Outcome.scheduled
    if command.parts.id.count > 0 {
      let hash = hasher.hash(topic: topic.number, id: command.parts.id)
      if let place = pending.place(of: hash) {
        switch command.ifExists {
        case .keep:
          let dueMs = try coldReads.record(at: place, command.connection).dueMs
          return answer(ScheduleReply(madeID: nil, deliverAtMs: dueMs, outcome: .kept))
        case .reject: throw .refuse(.exists, "a message with this id is pending in topic '\(topic.name)'")
        case .replace: outcome = .replaced
        }
      } else if case .released(_, let dueMs)? = pending.outcome(of: hash) {
        if command.ifExists == .reject {
          throw .refuse(.exists, "a message with this id was released into topic '\(topic.name)'")
        }
        return answer(ScheduleReply(madeID: nil, deliverAtMs: dueMs, outcome: .released))
      }
      if outcome == .scheduled { try requireRoom() }
      try requireRoom(in: topic, count: outcome == .scheduled ? 1 : 0, bytes: command.parts.recordLength)
      accept(command.parts, topic, dueMs: dueMs, acceptedMs: nowMs, hash: hash)
      turn.counters.scheduled += 1
      return answer(ScheduleReply(madeID: nil, deliverAtMs: dueMs, outcome: outcome))
    }
    try requireRoom()
    try requireRoom(in: topic, count: 1, bytes: command.parts.recordLength)
    let madeID = GeneratedID(MessageSequence.of(record: records.nextSequence))
    withMadeID(madeID, command.parts) { parts in
      accept(parts, topic, dueMs: dueMs, acceptedMs: nowMs, hash: pending.hash(of: madeID, in: topic))
    }
    turn.counters.scheduled += 1
    return answer(ScheduleReply(madeID: madeID, deliverAtMs: dueMs, outcome: .scheduled))
  }

  func acceptWithMadeID(_ parts: MessageParts, _ body: (MessageParts) -> Void) -> GeneratedID {
    let madeID = GeneratedID(MessageSequence.of(record: records.nextSequence))
    withMadeID(madeID, parts, body)
    return madeID
  }

  func withMadeID(_ madeID: GeneratedID, _ parts: MessageParts, _ body: (MessageParts) -> Void) {
    withUnsafeTemporaryAllocation(byteCount: GeneratedID.length, alignment: 1) { text in
      madeID.write(to: text.baseAddress!)
      var parts = parts
      parts.id = UnsafeRawBufferPointer(text)
      body(parts)
    }
  }

  /// The due time that a request means; never beyond the longest delay.
  func dueTime(_ due: DueTime) throws(BrokerStop) -> UnixMs {
    let delayMs: Int64
    switch due {
    case .at(let atMs):
      guard atMs <= nowMs || atMs - nowMs <= settings.maxDelayMs else { throw tooFar }
      return atMs
    case .delay(let ms): delayMs = ms
    case .level(let level):
      let levels = settings.delayLevelsMs
      guard level >= 1, level <= Int64(levels.count) else {
        throw .refuse(.badRequest, "field 'delayLevel' must be 1 to \(levels.count)")
      }
      delayMs = levels[Int(level) - 1]
    }
    guard delayMs >= 0 else { throw .refuse(.badRequest, "field 'delayMs' must not be negative") }
    guard delayMs <= settings.maxDelayMs else { throw tooFar }
    // From the end of the current millisecond, so that the whole delay passes; but no delay is no delay.
    return delayMs == 0 ? nowMs : nowRoundedUpMs + delayMs
  }

  private var tooFar: BrokerStop {
    .refuse(.delayOutOfRange, "a message can be at most \(settings.maxDelayMs) ms ahead")
  }

  func requireFitting(_ parts: MessageParts) throws(BrokerStop) {
    try requireBody(bytes: parts.body.count)
    try requireKeepable(parts)
  }

  /// Refuses a body that is larger than the settings allow.
  public func requireBody(bytes: Int) throws(BrokerStop) {
    guard bytes <= settings.bodyBytesMax else {
      throw .refuse(.bodyTooLarge, "the body has \(bytes) bytes, and \(settings.bodyBytesMax) are allowed")
    }
  }

  /// Refuses what one record cannot hold.
  func requireKeepable(_ parts: MessageParts) throws(BrokerStop) {
    guard parts.recordLength <= DecisionKind.messageBytesMax else {
      throw .refuse(
        .bodyTooLarge, "the message has \(parts.recordLength) bytes, and \(DecisionKind.messageBytesMax) can be kept")
    }
  }

  /// - Parameter accepted: messages of the batch at hand that will be pending, too.
  func requireRoom(besides accepted: Int = 0) throws(BrokerStop) {
    let count = pending.count + accepted
    guard count < settings.pendingMax else {
      throw .refuse(.limitExceeded, "\(count) messages are pending, and no more are allowed")
    }
  }

  /// Refuses what would be too many pending messages, or bytes of them, for one topic.
  ///
  /// - Parameters:
  ///   - topic: nil when it is not there yet.
  ///   - count: how many more there would be.
  ///   - bytes: the bytes of those that come, whether they take the places of others or not.
  func requireRoom(in topic: Topic?, count: Int, bytes: Int) throws(BrokerStop) {
    guard count == 0 || (topic?.pendingCount ?? 0) + count <= settings.topicPendingMax else {
      throw .refuse(
        .limitExceeded, "a topic may have \(settings.topicPendingMax) pending messages, and this one has them")
    }
    let pendingBytes = topic?.pendingBytes ?? 0
    guard bytes <= settings.topicPendingBytesMax - min(pendingBytes, settings.topicPendingBytesMax) else {
      throw .refuse(
        .limitExceeded,
        "pending messages of this topic have \(pendingBytes) bytes, and \(settings.topicPendingBytesMax) are allowed")
    }
  }

  /// Records a message and puts it where it belongs, in place of a pending one of the same id.
  func accept(_ parts: MessageParts, _ topic: Topic, dueMs: UnixMs, acceptedMs: UnixMs, hash: IDHash) {
    let draft = MessageDraft(
      parts: parts, sequence: MessageSequence.of(record: records.nextSequence), dueMs: dueMs, stampMs: acceptedMs,
      topic: topic.number)
    let leaveMs = pending.leaveMs(dueMs, topic: topic.number)
    let scheduled = turn.write(Scheduled(leaveMs: leaveMs, message: .draft(draft)))
    pending.apply(scheduled, topic, hash)
  }

  /// Cancels a pending message. An acknowledged cancel is never released.
  public func cancel(
    topic name: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer
  ) throws(BrokerStop) -> Answer<CancelOutcome> {
    try requireWorking()
    guard let topic = findTopic(name) else { return answer(.unknown) }
    let hash = hasher.hash(topic: topic.number, id: id)
    guard pending.place(of: hash) != nil else {
      switch pending.outcome(of: hash) {
      case .cancelled: return answer(.cancelled)
      case .released: return Answer(.released, gate: Gate(topic.restsOn))
      case .abandoned, nil: return answer(.unknown)
      }
    }
    pending.apply(turn.write(Cancelled(hash: hash, topic: topic.number, atMs: nowMs)))
    turn.counters.cancelled += 1
    return answer(.cancelled)
  }

  /// Gives a pending message another due time. In the order of release it counts as accepted now.
  public func reschedule(
    topic name: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer, due: DueTime, connection: UInt64
  ) throws(BrokerStop) -> Answer<ScheduleReply> {
    try requireWorking()
    let dueMs = try dueTime(due)
    let unknown = ScheduleReply(madeID: nil, deliverAtMs: 0, outcome: .unknown)
    guard let topic = findTopic(name) else { return answer(unknown) }
    let hash = hasher.hash(topic: topic.number, id: id)
    guard let place = pending.place(of: hash) else {
      if case .released? = pending.outcome(of: hash) {
        return answer(ScheduleReply(madeID: nil, deliverAtMs: 0, outcome: .released))
      }
      return answer(unknown)
    }
    let record = try coldReads.record(at: place, connection)
    accept(record.parts, topic, dueMs: dueMs, acceptedMs: record.stampMs, hash: hash)
    turn.counters.rescheduled += 1
    return answer(ScheduleReply(madeID: nil, deliverAtMs: dueMs, outcome: .rescheduled))
  }

  /// The state of a message by its id.
  public func get(
    topic name: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer, connection: UInt64
  ) throws(BrokerStop) -> Answer<MessageState> {
    try requireWorking()
    guard let topic = findTopic(name) else { return answer(.unknown) }
    let hash = hasher.hash(topic: topic.number, id: id)
    if let place = pending.place(of: hash) { return answer(.pending(try coldReads.record(at: place, connection))) }
    switch pending.outcome(of: hash) {
    case .cancelled: return answer(.cancelled)
    case .released(let offset, _): return Answer(.released(offset: offset), gate: Gate(topic.restsOn))
    case .abandoned, nil: return answer(.unknown)
    }
  }
}
