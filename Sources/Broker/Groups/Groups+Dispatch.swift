// Dispatch: gives messages to whoever can take them, redeliveries before new ones, a bounded number a turn.

import Primitives
import TimingWheel
import TopicLog

extension Groups {
  /// Gives a group's consumers what they can take.
  ///
  /// - Parameter answering: whether fetches that got something are answered.
  func dispatch(_ group: Group, answering: Bool = true) {
    group.setWaitsForDisk(false)
    deadLetter(group)
    fresh.begin(at: group.cursor)
    if group.queue?.prioritiesMax ?? 0 > 0 { takeUp(group) }
    // While messages wait to be released, they go first: another topic's may be among them.
    var budget = turn.isReleasing ? settings.deliveriesPerTurn / 8 : settings.deliveriesPerTurn
    while budget > 0, turn.deliveryBytesRemaining > 0, let consumer = group.nextConsumer() {
      budget -= 1
      if let entry = group.outstanding.firstReady() {
        if !redeliver(entry, group, consumer) { break }
      } else if !deliverNext(group, consumer) {
        break
      }
    }
    recordFresh(group)
    endSelfAcknowledged(group)
    if budget == 0 || turn.deliveryBytesRemaining <= 0 { markDirty(group) }
    if answering { answerFetches(group) }
  }

  // MARK: Again

  /// Delivers an outstanding message again. False when nothing more can be delivered now.
  private func redeliver(_ entry: UnsafePointer<Outstanding>, _ group: Group, _ consumer: Consumer) -> Bool {
    let offset = entry.pointee.offset
    let attempts = entry.pointee.attempts
    if attempts >= group.options.maxAttempts {
      group.outstanding.removeFirstReady()
      group.outstanding.startDeadLettering(offset, .deliveryLimit)
      markDirty(group)
      return true
    }
    var cursor = TopicCursor(offset: offset)
    switch group.topic.log.read(&cursor) {
    case .record(let message):
      group.outstanding.removeFirstReady()
      if group.queue?.endIfOver(message, in: group) == true { return true }
      recordEnds(group)
      apply(turn.write(Redelivered(group: group.number, offset: offset)))
      hand(message, attempts + 1, group, consumer)
      if attempts > 0 { turn.counters.redelivered += 1 } else { turn.counters.delivered += 1 }
      return true
    case .trimmed, .lost:
      group.outstanding.removeFirstReady()
      end(offset, in: group)
      return true
    case .loading:
      group.setWaitsForDisk(true)
      return false
    case .end, .forgotten: preconditionFailure("offset \(offset) is out and not in topic \(group.topic.number)")
    }
  }

  /// Gives a message to a consumer and starts its ack wait.
  @inline(__always)
  private func hand(_ message: MessageRecord, _ attempt: UInt32, _ group: Group, _ consumer: Consumer) {
    let offset = message.sequence
    var timer = TimerID.none
    if consumer.options.ackWaitMs != ConsumerOptions.ackWaitForEver { timer = startAckWait(offset, group, consumer) }
    let bodyBytes = group.queue?.handed(message) ?? 0
    group.outstanding.hand(offset, to: consumer.number, timer: timer, bodyBytes: bodyBytes)
    if consumer.options.acknowledgesItself { group.noteSelfAcknowledged(offset) }
    consumer.noteGiven()
    group.passTurn()
    give(Delivery(consumer: consumer, record: message, attempt: attempt))
  }

  func startAckWait(_ offset: TopicOffset, _ group: Group, _ consumer: Consumer) -> TimerID {
    timers.start(
      dueMs: turn.nowRoundedUpMs + consumer.options.ackWaitMs,
      TimerTarget(kind: .outstanding, owner: group.number, value: offset))
  }

  private func give(_ delivery: Delivery) {
    turn.deliveryBytesRemaining -= delivery.record.length
    if delivery.consumer.kind == .fetcher {
      delivery.consumer.collect(delivery)
    } else {
      turn.effects.append(.deliver(delivery))
    }
  }

  /// Ends the messages that were delivered to consumers which do not acknowledge.
  private func endSelfAcknowledged(_ group: Group) {
    let count = group.takeSelfAcknowledged { end($0, in: group) }
    guard count > 0 else { return }
    turn.counters.acknowledged += UInt64(count)
    markDirty(group)
  }

  // MARK: By priority

  /// Takes up what waits at and above the cursor of a queue that goes by priorities, so that it is delivered in their order; as
  /// much as may be outstanding.
  private func takeUp(_ group: Group) {
    guard let queue = group.queue, group.nextConsumer() != nil else { return }
    while group.outstanding.count < settings.outstandingMax {
      let offset = group.cursor
      if !fresh.reaches(offset) { recordFresh(group) }
      guard case .record(let message) = group.readNext() else { break }
      group.pass(message)
      group.outstanding.deliver(offset, keyHash: 0, isParked: true)
      group.outstanding.makeReady(offset, priority: queue.priority(of: message))
      fresh.add(offset, keyHash: 0, isParked: true)
    }
    recordFresh(group)
  }

  // MARK: New ones

  /// Delivers, parks or passes over the message at the group's cursor. False when nothing more can be done now.
  private func deliverNext(_ group: Group, _ consumer: Consumer) -> Bool {
    guard group.outstanding.count < settings.outstandingMax else { return false }
    let offset = group.cursor
    if !fresh.reaches(offset) { recordFresh(group) }
    switch group.readNext() {
    case .record(let message):
      if group.queue?.endIfOver(message, in: group) == true { return true }
      group.pass(message)
      if group.wants(message) { deliver(message, offset, group, consumer) }
      return true
    case .lost(let record):
      if group.queue == nil { group.pass(record) } else { end(offset, in: group) }
      return true
    case .trimmed:
      recordFresh(group)
      // The gap gets a record of its own, since it may be wider than a record that names messages can span.
      let lost = offset..<group.topic.log.firstOffset
      apply(turn.write(Delivered(group: group.number, offsets: lost, entries: .draft([]))))
      fresh.begin(at: group.cursor)
      for member in group.consumers {
        turn.notify(.truncated(member, from: lost.lowerBound, to: lost.upperBound))
      }
      return true
    case .loading:
      group.setWaitsForDisk(true)
      return false
    case .end: return false
    case .forgotten: preconditionFailure("group \(group.number) is to get a message that has ended")
    }
  }

  private func deliver(_ message: MessageRecord, _ offset: TopicOffset, _ group: Group, _ consumer: Consumer) {
    var keyHash: UInt64 = 0
    if group.options.isOrdered, message.key.count > 0 {
      keyHash = max(1, hasher.hash(topic: group.number, id: message.key).low)
    }
    let isParked = keyHash != 0 && group.outstanding.isBusy(key: keyHash)
    group.outstanding.deliver(offset, keyHash: keyHash, isParked: isParked)
    fresh.add(offset, keyHash: keyHash, isParked: isParked)
    if isParked { return }
    hand(message, 1, group, consumer)
    turn.counters.delivered += 1
  }

  /// Records what the group was given since its last record. The change was applied message by message before.
  private func recordFresh(_ group: Group) {
    if let delivered = fresh.decision(group) {
      recordEnds(group)
      turn.write(delivered)
    }
    fresh.begin(at: group.cursor)
  }

  // MARK: Tails

  func dispatch(tail consumer: Consumer) {
    var budget = settings.deliveriesPerTurn
    while budget > 0, turn.deliveryBytesRemaining > 0, consumer.canTake {
      budget -= 1
      switch consumer.readNext() {
      case .record(let message):
        consumer.pass(message)
        if consumer.options.wants(message) { give(Delivery(consumer: consumer, record: message, attempt: 1)) }
      case .lost(let record): consumer.pass(record)
      case .trimmed:
        let lost = consumer.skipTrimmed()
        turn.notify(.truncated(consumer, from: lost.lowerBound, to: lost.upperBound))
      case .loading, .end: return
      case .forgotten: preconditionFailure("a queue has a private reader")
      }
    }
    if consumer.canTake { markTailsDirty(consumer.topic) }
  }
}
