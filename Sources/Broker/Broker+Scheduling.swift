// Scheduling: new messages, cancelling, other times, looking one up.

import DelayStore
import Primitives
import TimingWheel
import TopicLog

extension Broker {
  /// Takes a message to be released later. A due time that is past releases it in this very turn.
  ///
  /// - Throws: `delayOutOfRange`, `badRequest` (negative delay, no such level), `exists`, `diskFull`, `limitExceeded`,
  ///   `bodyTooLarge`, `notFound`; `waitForDisk` when the id is pending on disk and its due time must be read.
  public func schedule(_ command: ScheduleCommand) throws(BrokerStop) -> Answer<ScheduleReply> {
    try requireSpace()
    let dueMs = try dueTime(command.due)
    try requireFitting(command.parts)
    let topic = try topicOnUse(command.topic)
    var outcome = ScheduleReply.Outcome.scheduled
    if command.parts.id.count > 0 {
      let hash = hasher.hash(topic: topic.number, id: command.parts.id)
      if let place = place(of: hash) {
        switch command.ifExists {
        case .keep:
          let dueMs = try pendingRecord(place, command.connection).dueMs
          return answer(ScheduleReply(madeID: nil, deliverAtMs: dueMs, outcome: .kept))
        case .reject: throw .refuse(.exists, "a message with this id is pending in topic '\(topic.name)'")
        case .replace: outcome = .replaced
        }
      } else if case .released(_, let dueMs)? = fate(of: hash) {
        if command.ifExists == .reject {
          throw .refuse(.exists, "a message with this id was released into topic '\(topic.name)'")
        }
        return answer(ScheduleReply(madeID: nil, deliverAtMs: dueMs, outcome: .released))
      }
      if outcome == .scheduled { try requireRoom() }
      accept(command.parts, topic, dueMs: dueMs, acceptedMs: nowMs, hash: hash)
      counters.scheduled += 1
      return answer(ScheduleReply(madeID: nil, deliverAtMs: dueMs, outcome: outcome))
    }
    try requireRoom()
    let madeID = acceptWithMadeID(command.parts) { parts in
      let hash = hasher.hash(topic: topic.number, id: parts.id)
      accept(parts, topic, dueMs: dueMs, acceptedMs: nowMs, hash: hash)
    }
    counters.scheduled += 1
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
    guard parts.body.count <= settings.bodyBytesMax else {
      throw .refuse(.bodyTooLarge, "the body has \(parts.body.count) bytes, and \(settings.bodyBytesMax) are allowed")
    }
    guard parts.recordLength <= DecisionKind.messageBytesMax else {
      throw .refuse(
        .bodyTooLarge, "the message has \(parts.recordLength) bytes, and \(DecisionKind.messageBytesMax) can be kept")
    }
  }

  /// - Parameter accepted: messages of the batch at hand that will be pending, too.
  func requireRoom(besides accepted: Int = 0) throws(BrokerStop) {
    let count = pendingCount + accepted
    guard count < settings.pendingMax else {
      throw .refuse(.limitExceeded, "\(count) messages are pending, and no more are allowed")
    }
  }

  /// Records a message and puts it where it belongs, in place of a pending one of the same id.
  func accept(_ parts: MessageParts, _ topic: Topic, dueMs: UnixMs, acceptedMs: UnixMs, hash: IDHash) {
    let draft = MessageDraft(
      parts: parts, sequence: MessageSequence.of(record: records.nextSequence), dueMs: dueMs, stampMs: acceptedMs,
      topic: topic.number)
    apply(turn.write(Scheduled(leaveMs: leaveMs(dueMs), message: .draft(draft))), topic, hash)
  }

  func apply(_ scheduled: Scheduled) {
    let record = scheduled.message.record
    guard let topic = topics[record.topic] else { return noteLostTopic(record.topic) }
    apply(scheduled, topic, hasher.hash(topic: topic.number, id: record.id))
  }

  /// The same when the topic and the hash of the id are known already.
  private func apply(_ scheduled: Scheduled, _ topic: Topic, _ hash: IDHash) {
    place(scheduled.message.record, topic, leaveMs: scheduled.leaveMs, hash: hash)
  }

  /// When a message may leave: at its due time or, when that is past, as early as order allows. It must stand behind the
  /// watermark and behind what waits to leave, and not ahead of what the wheel still holds.
  func leaveMs(_ dueMs: UnixMs) -> UnixMs {
    dueMs > nowMs ? dueMs : max(min(dueMs, wheel.currentTimeMs), watermark.dueMs, dueQueue.lastDueMs ?? 0)
  }

  /// Puts a recorded message into memory or onto disk. The same live and in replay.
  func place(_ record: MessageRecord, _ topic: Topic, leaveMs: UnixMs, hash: IDHash) {
    if let old = place(of: hash) { withdraw(hash, old) } else { topic.pendingCount += 1 }
    if leaveMs > wheel.currentTimeMs, store.belongsOnDisk(dueMs: leaveMs) {
      store.insert(record, dueMs: leaveMs, hash: hash)
      return
    }
    let slot = slab.insert(copyOf: record)
    let message = slab[slot]
    message.pointee.sequence = record.sequence
    message.pointee.dueMs = leaveMs
    message.pointee.hash = hash
    message.pointee.topic = topic.number
    slab.uncopied.append(slot)
    store.index.set(hash, .memory(slot))
    startMessageTimer(slot)
  }

  func startMessageTimer(_ index: UInt32) {
    let message = slab[index]
    if message.pointee.dueMs <= wheel.currentTimeMs {
      dueQueue.append(
        DueMessage(dueMs: message.pointee.dueMs, sequence: message.pointee.sequence, index: index))
    } else {
      let timer = wheel.insert(dueMs: message.pointee.dueMs)
      slabOfTimer.grow(to: Int(timer.index) + 1)
      slabOfTimer[timer.index] = index
      message.pointee.timer = timer
    }
  }

  /// Takes a pending message from where it is. It is in the index no more.
  func withdraw(_ hash: IDHash, _ place: MessagePlace) {
    switch place {
    case .disk(let slice, let position): store.remove(hash, slice: slice, position: position)
    case .memory(let slot):
      let message = slab[slot]
      if message.pointee.timer != TimerID.none { _ = wheel.cancel(message.pointee.timer) }
      if message.pointee.copySlice != PendingSlab.noSlice {
        store.buryCopy(slice: message.pointee.copySlice, position: message.pointee.copyPosition)
      }
      slab.remove(slot)
      store.index.remove(hash)
    }
  }

  /// Cancels a pending message. An acknowledged cancel is never released.
  public func cancel(
    topic name: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer
  ) throws(BrokerStop) -> Answer<CancelOutcome> {
    try requireWorking()
    guard let topic = findTopic(name) else { return answer(.unknown) }
    let hash = hasher.hash(topic: topic.number, id: id)
    guard place(of: hash) != nil else {
      switch fate(of: hash) {
      case .cancelled: return answer(.cancelled)
      case .released: return answer(.released)
      case .abandoned, nil: return answer(.unknown)
      }
    }
    apply(turn.write(Cancelled(hash: hash, topic: topic.number, atMs: nowMs)))
    counters.cancelled += 1
    return answer(.cancelled)
  }

  func apply(_ cancelled: Cancelled) {
    // A salvage may have left out the record by which the message came.
    guard let place = place(of: cancelled.hash) else { return }
    withdraw(cancelled.hash, place)
    topics[cancelled.topic]?.pendingCount -= 1
    settle(cancelled.hash, .cancelled, atMs: cancelled.atMs)
  }

  /// Gives a pending message another time. It counts as accepted now where order is concerned.
  public func reschedule(
    topic name: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer, due: DueTime, connection: UInt64
  ) throws(BrokerStop) -> Answer<ScheduleReply> {
    try requireWorking()
    let dueMs = try dueTime(due)
    let unknown = ScheduleReply(madeID: nil, deliverAtMs: 0, outcome: .unknown)
    guard let topic = findTopic(name) else { return answer(unknown) }
    let hash = hasher.hash(topic: topic.number, id: id)
    guard let place = place(of: hash) else {
      if case .released? = fate(of: hash) {
        return answer(ScheduleReply(madeID: nil, deliverAtMs: 0, outcome: .released))
      }
      return answer(unknown)
    }
    let record = try pendingRecord(place, connection)
    accept(record.parts, topic, dueMs: dueMs, acceptedMs: record.stampMs, hash: hash)
    counters.rescheduled += 1
    return answer(ScheduleReply(madeID: nil, deliverAtMs: dueMs, outcome: .rescheduled))
  }

  /// The state of a message by its id.
  public func get(
    topic name: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer, connection: UInt64
  ) throws(BrokerStop) -> Answer<MessageState> {
    try requireWorking()
    guard let topic = findTopic(name) else { return answer(.unknown) }
    let hash = hasher.hash(topic: topic.number, id: id)
    if let place = place(of: hash) { return answer(.pending(try pendingRecord(place, connection))) }
    switch fate(of: hash) {
    case .cancelled: return answer(.cancelled)
    case .released(let offset, _): return answer(.released(offset: offset))
    case .abandoned, nil: return answer(.unknown)
    }
  }

  /// The record of a pending message; from disk by way of `waitForDisk`.
  func pendingRecord(_ place: MessagePlace, _ connection: UInt64) throws(BrokerStop) -> MessageRecord {
    switch place {
    case .memory(let index): return MessageRecord(slab[index].pointee.record!)
    case .disk(let slice, let position):
      if let cold = coldRecords[connection]?.first(where: { $0.place == place }) { return cold.record }
      let atOnce = store.read(slice: slice, position: position) { [unowned self] cold in
        if let cold { coldRecords[connection, default: []].append(cold) }
        effects.append(.notice(.retry(connection: connection)))
      }
      guard let atOnce else { throw .waitForDisk }
      coldRecords[connection, default: []].append(atOnce)
      return atOnce.record
    }
  }

  /// Drops what was read from disk for a connection: its command is through.
  public func forgetColdReads(_ connection: UInt64) {
    if !coldRecords.isEmpty { coldRecords[connection] = nil }
    if !listings.isEmpty { listings[connection] = nil }
  }

  /// Puts a message into its topic now.
  ///
  /// - Throws: `exists` when a message of the same id is pending. One released in the window is not published again: the
  ///   answer has its offset.
  public func publish(
    topic name: UnsafeRawBufferPointer, _ parts: MessageParts
  ) throws(BrokerStop) -> Answer<PublishReply> {
    try requireSpace()
    try requireFitting(parts)
    let topic = try topicOnUse(name)
    guard parts.id.count > 0 else {
      var offset: TopicOffset = 0
      let madeID = acceptWithMadeID(parts) { parts in
        offset = append(parts, topic, hasher.hash(topic: topic.number, id: parts.id))
      }
      return answer(PublishReply(madeID: madeID, offset: offset))
    }
    let hash = hasher.hash(topic: topic.number, id: parts.id)
    if place(of: hash) != nil {
      throw .refuse(.exists, "a message with this id is pending in topic '\(topic.name)'")
    }
    if case .released(let offset, _)? = fate(of: hash) {
      return answer(PublishReply(madeID: nil, offset: offset))
    }
    return answer(PublishReply(madeID: nil, offset: append(parts, topic, hash)))
  }

  private func append(_ parts: MessageParts, _ topic: Topic, _ hash: IDHash) -> TopicOffset {
    let length = parts.recordLength
    let sequence = records.nextSequence
    records.append(kind: DecisionKind.published.rawValue, payloadCapacity: 8 + length) { payload in
      let base = payload.baseAddress!
      base.storeBytes(of: nowMs.littleEndian, as: Int64.self)
      MessageRecord.write(
        parts, sequence: sequence, dueMs: nowMs, stampMs: nowMs, topic: topic.number, at: base + 8)
      return 8 + length
    }
    let offset = topic.log.append(parts, dueMs: nowMs, releasedMs: nowMs)
    settle(hash, .released(offset: offset, dueMs: nowMs), atMs: nowMs)
    counters.published += 1
    appended(topic, by: sequence)
    return offset
  }
}
