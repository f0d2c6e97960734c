// Commands about held messages, and the questions to their owners.
//
// Holds: what became of a held message is remembered for the id window, so that a repeated answer gets the true outcome.

import Primitives
import TimingWheel
import TopicLog

extension Broker {
  /// Accepts a message that nobody sees before `decide` releases it.
  ///
  /// - Returns: the id of the server's making, by which it is decided about and under which it will be released.
  /// - Throws: `bodyTooLarge`, `notFound`, `diskFull`; `limitExceeded` when too much is held already.
  public func hold(
    topic name: UnsafeRawBufferPointer, _ parts: MessageParts, owner: UnsafeRawBufferPointer
  ) throws(BrokerStop) -> Answer<GeneratedID> {
    try requireSpace()
    try requireFitting(parts)
    guard held.bytes + parts.recordLength <= settings.heldBytesMax else {
      throw .refuse(.limitExceeded, "\(held.count) messages are held, and there is no memory set aside for more")
    }
    let topic = try topics.onUse(name)
    let madeID = acceptWithMadeID(parts) { parts in
      let draft = MessageDraft(
        parts: parts, sequence: MessageSequence.of(record: records.nextSequence), dueMs: nowMs, stampMs: nowMs,
        topic: topic.number)
      held.apply(
        turn.write(
          MessageHeld(nextCheckMs: nowRoundedUpMs + settings.heldFirstCheckMs, owner: owner, message: .draft(draft))))
    }
    return answer(madeID)
  }

  /// Decides about a held message. A repeated decision is answered with the outcome of the first.
  public func decide(_ id: UnsafeRawBufferPointer, _ verdict: HeldVerdict) throws(BrokerStop) -> Answer<HeldOutcome> {
    try requireWorking()
    guard let number = GeneratedID(id)?.sequence, held[number] != nil else {
      switch pending.outcome(of: heldHash(id)) {
      case .released(let offset, _): return answer(.released(offset: offset))
      case .cancelled: return answer(.dropped)
      case .abandoned: return answer(.abandoned)
      case nil: return answer(.unknown)
      }
    }
    switch verdict {
    case .undecided: return answer(.held)
    case .release:
      guard let offset = apply(turn.write(HeldReleased(number: number, atMs: nowMs))) else {
        preconditionFailure("a held message has no topic")
      }
      turn.counters.published += 1
      return answer(.released(offset: offset))
    case .drop:
      apply(turn.write(HeldDropped(number: number, atMs: nowMs)))
      return answer(.dropped)
    }
  }

  /// A held message; nil when it has ended.
  public func heldMessage(_ number: HeldNumber) -> HeldMessage? { held[number] }

  /// The held message of this id; nil when there is none or it has ended.
  public func heldMessage(id: UnsafeRawBufferPointer) -> HeldMessage? {
    GeneratedID(id).flatMap { held[$0.sequence] }
  }

  /// The name of a held message's topic.
  public func topicName(of message: HeldMessage) -> String { topics[message.record.topic]!.name }

  // No topic has this number: the ids of held messages are remembered apart from those in topics.
  private func heldHash(_ id: UnsafeRawBufferPointer) -> IDHash { hasher.hash(topic: .max, id: id) }

  // MARK: Decisions

  func apply(_ message: MessageHeld) {
    if topics[message.message.record.topic] != nil { held.apply(message) }
  }

  /// Gives the offset; nil when there is no such message.
  @discardableResult func apply(_ released: HeldReleased) -> TopicOffset? {
    turn.note(released.atMs)
    guard let message = held.take(released.number), let topic = topics[message.record.topic] else { return nil }
    let offset = topic.log.append(copyOf: message.record, releasedMs: released.atMs)
    let fate = RecentOutcome.Fate.released(offset: offset, dueMs: released.atMs)
    pending.remember(hasher.hash(topic: topic.number, id: message.record.id), fate, atMs: released.atMs)
    pending.remember(heldHash(message.record.id), fate, atMs: released.atMs)
    if !turn.isReplaying { groups.appended(topic, by: records.lastSequence) }
    return offset
  }

  func apply(_ dropped: HeldDropped) {
    guard let message = held.take(dropped.number) else { return }
    pending.remember(heldHash(message.record.id), .cancelled, atMs: dropped.atMs)
  }

  func apply(_ abandoned: HeldAbandoned) {
    turn.note(abandoned.atMs)
    guard let message = held.take(abandoned.number) else { return }
    let copy = abandoned.message.record
    if let topic = topics[copy.topic] {
      _ = topic.log.append(copyOf: copy, releasedMs: abandoned.atMs)
      if !turn.isReplaying { groups.appended(topic, by: records.lastSequence) }
    } else {
      topics.noteNumber(copy.topic)
    }
    pending.remember(heldHash(message.record.id), .abandoned, atMs: abandoned.atMs)
  }

  // MARK: Asking

  func heldTimerFired(_ number: HeldNumber, _ timer: TimerID) {
    guard let message = held.timerFired(number, timer) else { return }
    if message.checks >= settings.heldChecksMax {
      // When no topic can be made for abandoned messages, it is tried again later.
      if !abandon(message) { held.postpone(message, untilMs: nowMs + settings.heldCheckIntervalMs) }
      return
    }
    held.apply(turn.write(HeldChecked(number: number, nextCheckMs: nowMs + settings.heldCheckIntervalMs)))
    turn.notify(.heldCheck(number))
  }

  /// False when no topic can be made for it.
  private func abandon(_ message: HeldMessage) -> Bool {
    guard let origin = topics[message.record.topic],
      let target = settings.abandonedTopic.withBytes({ try? topics.always($0) })
    else { return false }
    let headers = HeaderText.merged(
      message.record.headers,
      [
        ("x-origin-topic", origin.name), ("x-group", message.owner), ("x-attempts", String(message.checks)),
        ("x-reason", "max_checks"),
      ])
    headers.withUnsafeBytes { headers in
      var parts = message.record.parts
      parts.headers = headers
      let copy = MessageDraft(
        parts: parts, sequence: message.number, dueMs: message.record.dueMs, stampMs: nowMs, topic: target.number)
      apply(turn.write(HeldAbandoned(number: message.number, atMs: nowMs, message: .draft(copy))))
    }
    turn.counters.deadLettered += 1
    return true
  }
}
