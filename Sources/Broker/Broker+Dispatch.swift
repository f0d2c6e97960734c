// Dispatch: gives messages to whoever can take them, redeliveries before new ones, a bounded number a turn.

import Primitives
import TopicLog

extension Broker {
  /// Serves every group and tail that has something to do.
  func dispatch() {
    let work = dirtyGroups
    dirtyGroups.removeAll(keepingCapacity: true)
    for (place, group) in work.enumerated() {
      if turnBytesLeft <= 0 {
        // Those that had nothing go first in the next turn.
        dirtyGroups.insert(contentsOf: work[place...], at: 0)
        break
      }
      group.isDirty = false
      if group.topic.isAlive { dispatch(group) }
    }
    let tails = dirtyTails
    dirtyTails.removeAll(keepingCapacity: true)
    for topic in tails where topic.isAlive {
      for tail in topic.tails {
        // Busy groups must not leave the tails nothing.
        turnBytesLeft = max(turnBytesLeft, settings.tailBytesPerTurn)
        dispatch(tail: tail)
      }
    }
  }

  func dispatch(_ group: Group, answering: Bool = true) {
    group.waitsForDisk = false
    buryDying(group)
    var fresh = FreshDeliveries(group)
    // While messages wait to leave, they go first: another topic's may be among them.
    var budget = !pending.hasDue ? settings.deliveriesPerTurn : settings.deliveriesPerTurn / 8
    while budget > 0, turnBytesLeft > 0, let consumer = group.nextConsumer() {
      budget -= 1
      if let offset = group.ready.first {
        if !redeliver(offset, group, consumer) { break }
      } else if !deliverNext(group, consumer, &fresh) {
        break
      }
    }
    record(fresh)
    if !group.selfAcknowledged.isEmpty { acknowledgeDelivered(group) }
    if budget == 0 || turnBytesLeft <= 0 { markDirty(group) }
    if answering { answerFetches(group) }
  }

  // MARK: Again

  /// Delivers a message that was out before. False when nothing more can be done now.
  private func redeliver(_ offset: TopicOffset, _ group: Group, _ consumer: Consumer) -> Bool {
    guard let entry = group.outstanding.find(offset), entry.pointee.state == .ready else {
      group.ready.removeFirst()
      return true
    }
    if entry.pointee.attempts >= group.maxAttempts {
      group.ready.removeFirst()
      group.startDying(entry)
      markDirty(group)
      return true
    }
    var cursor = TopicCursor(offset: offset)
    switch group.topic.log.read(&cursor) {
    case .record(let message):
      group.ready.removeFirst()
      if endIfOver(message, group) { return true }
      recordAcks(group)
      records.begin(DecisionKind.redelivered.rawValue)
      records.append(group.number)
      records.append(offset)
      records.finish()
      entry.pointee.attempts += 1
      hand(message, entry, group, consumer)
      if entry.pointee.attempts > 1 { counters.redelivered += 1 } else { counters.delivered += 1 }
      return true
    case .trimmed:
      group.ready.removeFirst()
      end(group, offset)
      return true
    case .loading:
      group.waitsForDisk = true
      return false
    case .end, .forgotten: preconditionFailure("offset \(offset) is out and not in topic \(group.topic.number)")
    }
  }

  /// Ends a message of a queue whose time to live is over, though its turn to be ended has not come: after a start, or when
  /// very many expire at once, consumers are faster than expiry.
  private func endIfOver(_ message: MessageRecord, _ group: Group) -> Bool {
    guard let contents = group.contents, message.dueMs < nowMs else { return false }
    return endReady(group, contents, message.sequence, .expired)
  }

  /// Gives an entry's message to a consumer and starts its ack wait.
  private func hand(
    _ message: MessageRecord, _ entry: UnsafeMutablePointer<Outstanding>, _ group: Group, _ consumer: Consumer
  ) {
    entry.pointee.state = .inFlight
    entry.pointee.consumer = consumer.number
    if let contents = group.contents {
      noteHanded(message, entry, group, contents, consumer)
    } else {
      entry.pointee.timer = startTimer(
        dueMs: nowRoundedUpMs + consumer.options.ackWaitMs,
        TimerTarget(kind: .outstanding, owner: group.number, value: entry.pointee.offset))
    }
    consumer.inFlight += 1
    group.inFlightCount += 1
    group.passTurn()
    give(Delivery(consumer: consumer, record: message, attempt: entry.pointee.attempts))
  }

  private func give(_ delivery: Delivery) {
    turnBytesLeft -= delivery.record.length
    guard delivery.consumer.kind == .fetcher else {
      effects.append(.deliver(delivery))
      return
    }
    let consumer = delivery.consumer
    guard let place = consumer.fetches.firstIndex(where: \.hasRoom) else {
      preconditionFailure("a fetcher got more than it asked for")
    }
    consumer.fetches[place].collected.append(delivery)
    consumer.fetches[place].bytesLeft -= delivery.record.length
  }

  // MARK: New ones

  /// Delivers, parks or passes over the message at the group's cursor. False when nothing more can be done now.
  private func deliverNext(_ group: Group, _ consumer: Consumer, _ fresh: inout FreshDeliveries) -> Bool {
    guard group.outstanding.count < settings.outstandingMax else { return false }
    if let contents = group.contents {
      passEnded(group, contents)
      // A record names offsets by their distance from its start, and very much may have ended behind one message.
      if group.cursor.offset - fresh.from > 1 << 30 {
        record(fresh)
        fresh = FreshDeliveries(group)
      }
    }
    switch group.topic.log.read(&group.cursor) {
    case .record(let message):
      if endIfOver(message, group) { return true }
      let offset = group.cursor.offset
      group.cursor.pass(message)
      guard group.wants(message) else { return true }
      deliver(message, offset, group, consumer, &fresh)
      return true
    case .trimmed:
      // A record names offsets by their distance from its start, which this gap may be too wide for.
      record(fresh)
      let lost = group.cursor.offset
      group.cursor = TopicCursor(offset: group.topic.log.firstOffset)
      fresh = FreshDeliveries(group)
      for member in group.consumers {
        effects.append(.notice(.truncated(member, from: lost, to: group.cursor.offset)))
      }
      return true
    case .loading:
      group.waitsForDisk = true
      return false
    case .end: return false
    case .forgotten: preconditionFailure("group \(group.number) is to get a message that has ended")
    }
  }

  private func deliver(
    _ message: MessageRecord, _ offset: TopicOffset, _ group: Group, _ consumer: Consumer,
    _ fresh: inout FreshDeliveries
  ) {
    var entry = Outstanding(offset: offset)
    if group.isOrdered, message.key.count > 0 {
      entry.keyHash = max(1, hasher.hash(topic: group.number, id: message.key).low)
      if group.joinLine(entry.keyHash, offset) {
        entry.state = .parked
        group.outstanding.insert(entry)
        fresh.add(offset, entry.keyHash, isParked: true)
        return
      }
    }
    entry.attempts = 1
    let place = group.outstanding.insert(entry)
    fresh.add(offset, entry.keyHash, isParked: false)
    hand(message, place, group, consumer)
    counters.delivered += 1
  }

  private func record(_ fresh: FreshDeliveries) {
    let group = fresh.group
    let to = group.cursor.offset
    guard to > fresh.from else { return }
    recordAcks(group)
    records.begin(DecisionKind.delivered.rawValue)
    records.append(group.number)
    records.append(fresh.from)
    records.append(to)
    if fresh.isPlain, UInt64(fresh.entries.count) == to - fresh.from {
      records.append(DecisionKind.allDelivered)
    } else {
      records.append(UInt32(fresh.entries.count))
      for entry in fresh.entries {
        records.append(UInt32(entry.offset - fresh.from) | (entry.isParked ? DecisionKind.parkedBit : 0))
        records.append(entry.keyHash)
      }
    }
    records.finish()
  }

  // MARK: Tails

  private func dispatch(tail consumer: Consumer) {
    var budget = settings.deliveriesPerTurn
    while budget > 0, turnBytesLeft > 0, consumer.canTake {
      budget -= 1
      switch consumer.topic.log.read(&consumer.cursor) {
      case .record(let message):
        consumer.cursor.pass(message)
        if wants(consumer, message) { give(Delivery(consumer: consumer, record: message, attempt: 1)) }
      case .trimmed:
        let lost = consumer.cursor.offset
        consumer.cursor = TopicCursor(offset: consumer.topic.log.firstOffset)
        effects.append(.notice(.truncated(consumer, from: lost, to: consumer.cursor.offset)))
      case .loading, .end: return
      case .forgotten: preconditionFailure("a queue has a private reader")
      }
    }
    if consumer.canTake { markTailsDirty(consumer.topic) }
  }

  private func wants(_ consumer: Consumer, _ record: MessageRecord) -> Bool {
    guard let tags = consumer.options.tags else { return true }
    let tag = record.tag
    return tags.contains { $0.count == tag.count && $0.withUnsafeBytes { $0.elementsEqual(tag) } }
  }
}

/// First deliveries of one dispatch, for one record.
struct FreshDeliveries {
  let group: Group
  let from: TopicOffset
  var entries: [(offset: TopicOffset, keyHash: UInt64, isParked: Bool)] = []
  var isPlain = true

  init(_ group: Group) {
    self.group = group
    from = group.cursor.offset
  }

  mutating func add(_ offset: TopicOffset, _ keyHash: UInt64, isParked: Bool) {
    entries.append((offset, keyHash, isParked))
    if keyHash != 0 { isPlain = false }
  }
}
