// What clients ask, done on the broker as the server's operations do it, and what they make of the answers.

import Broker
import Primitives
import SimulatedDisk

extension Simulation {
  /// Does a step for a connection of its own, or again for the one that it waited with.
  func perform(_ step: Step, connection: UInt64? = nil) {
    var connection = connection ?? 0
    if connection == 0 {
      connection = nextConnection
      nextConnection += 1
    }
    defer { takeEffects(broker.records.lastSequence) }
    do throws(BrokerStop) {
      try performOrStop(step, connection)
      broker.forgetColdReads(connection)
    } catch {
      switch error {
      case .waitForDisk: blocked[connection] = step
      case .refused(let refusal):
        broker.forgetColdReads(connection)
        judge(refusal, step)
      }
    }
  }

  private func judge(_ refusal: BrokerRefusal, _ step: Step) {
    switch refusal.code {
    case .exists, .notFound, .delayOutOfRange: break
    case .diskFull:
      switch step {
      case .schedule, .publish, .createTopic: break
      default: ledger.complain("\(step) was refused because the disk is full")
      }
    case .storageFailed: if broker.failure == nil { ledger.complain("\(step): \(refusal.message)") }
    default: ledger.complain("\(step): \(refusal.message)")
    }
  }

  func bytes(_ text: String) -> UnsafeRawBufferPointer {
    // Kept for the whole run: commands only look at them.
    if let known = texts[text] { return UnsafeRawBufferPointer(known) }
    let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: text.utf8.count, alignment: 1)
    memory.copyBytes(from: text.utf8)
    texts[text] = memory
    return UnsafeRawBufferPointer(memory)
  }

  private func topic(_ index: Int) -> UnsafeRawBufferPointer { bytes(Script.topics[index]) }
  private func number(_ index: Int) -> UInt32? { broker.findTopic(topic(index))?.number }

  private func due(_ due: Step.Due) -> DueTime {
    switch due {
    case .delay(let ms): .delay(ms)
    case .after(let ms): .at(time.nowMs + ms)
    case .past(let ms): .at(time.nowMs - ms)
    case .onTheGrid(let steps): .at((time.nowMs / 500 + 1 + steps) * 500)
    }
  }

  private func parts(id: Int, key: Int, tag: Int) -> (MessageParts, Version) {
    let version = nextVersion
    nextVersion += 1
    var parts = MessageParts(id: id < 0 ? bytes("") : bytes("id\(id)"), body: bytes("\(version)"))
    if key > 0 { parts.key = bytes("k\(key)") }
    if tag > 0 { parts.tag = bytes(tag == 1 ? "a" : "b") }
    parts.queue = UInt8(key)
    return (parts, version)
  }

  private func performOrStop(_ step: Step, _ connection: UInt64) throws(BrokerStop) {
    switch step {
    case .schedule, .publish, .cancel, .reschedule, .get, .list: try performOnMessages(step, connection)
    case .subscribe, .unsubscribe, .fetch, .seek: try performOnGroups(step, connection)
    case .ack, .ackUpTo, .nack: try performOnDeliveries(step)
    case .createTopic(let index):
      _ = try broker.createTopic(topic(index), retentionMs: nil, retentionBytes: nil)
    case .deleteTopic(let index):
      guard let number = number(index) else { return }
      _ = try broker.deleteTopic(topic(index))
      note(.topicDeleted(number), broker.records.lastSequence)
      inHand.removeAll { $0.group.topic == number }
    }
  }

  // MARK: Messages

  private func performOnMessages(_ step: Step, _ connection: UInt64) throws(BrokerStop) {
    switch step {
    case .schedule(let index, let id, let due, let ifExists, let key, let tag):
      let (parts, version) = parts(id: id, key: key, tag: tag)
      var command = ScheduleCommand(topic: topic(index), parts: parts, due: self.due(due), connection: connection)
      command.ifExists = ifExists
      take(try broker.schedule(command).value, index, id, version)
    case .publish(let index, let id, let key, let tag):
      let (parts, version) = parts(id: id, key: key, tag: tag)
      let before = broker.records.nextSequence
      let reply = try broker.publish(topic: topic(index), parts).value
      guard let number = number(index) else { return }
      let name = MessageKey(topic: number, id: reply.madeID?.text ?? "id\(id)")
      let sequence = broker.records.lastSequence
      let isNew = broker.records.nextSequence != before
      note(isNew ? .published(name, version, reply.offset) : .foundReleased(name, nowMs: broker.nowMs), sequence)
    case .cancel(let index, let id):
      guard let number = number(index) else { return }
      let outcome = try broker.cancel(topic: topic(index), id: bytes("id\(id)")).value
      let name = MessageKey(topic: number, id: "id\(id)")
      switch outcome {
      case .cancelled: note(.cancelled(name, nowMs: broker.nowMs), broker.records.lastSequence)
      case .released: note(.foundReleased(name, nowMs: broker.nowMs), broker.records.lastSequence)
      case .unknown: note(.foundNothing(name, nowMs: broker.nowMs), broker.records.lastSequence)
      }
    case .reschedule(let index, let id, let due):
      guard number(index) != nil else { return }
      let reply = try broker.reschedule(
        topic: topic(index), id: bytes("id\(id)"), due: self.due(due), connection: connection
      ).value
      take(reply, index, id, 0)
    case .get(let index, let id): try get(index, id, connection)
    case .list(let index):
      var last: (UnixMs, Sequence) = (.min, 0)
      for message in try broker.list(
        ListCommand(topic: topic(index), dueMs: .min ... .max, limit: 5, after: nil, connection: connection)
      ).value.messages {
        if (message.dueMs, message.sequence) <= last { ledger.complain("a listing out of order: \(message.dueMs)") }
        last = (message.dueMs, message.sequence)
      }
    default: break
    }
  }

  private func take(_ reply: ScheduleReply, _ index: Int, _ id: Int, _ version: Version) {
    guard let number = number(index) else { return ledger.complain("a message in no topic") }
    let name = MessageKey(topic: number, id: reply.madeID?.text ?? "id\(id)")
    let nowMs = broker.nowMs
    let fact: Fact =
      switch reply.outcome {
      case .scheduled: .put(name, version, dueMs: reply.deliverAtMs, nowMs: nowMs, replaces: false)
      case .replaced: .put(name, version, dueMs: reply.deliverAtMs, nowMs: nowMs, replaces: true)
      case .kept: .kept(name, dueMs: reply.deliverAtMs, nowMs: nowMs)
      case .rescheduled: .moved(name, dueMs: reply.deliverAtMs, nowMs: nowMs)
      case .released: .foundReleased(name, nowMs: nowMs)
      case .unknown: .foundNothing(name, nowMs: nowMs)
      }
    note(fact, broker.records.lastSequence)
  }

  private func get(_ index: Int, _ id: Int, _ connection: UInt64) throws(BrokerStop) {
    guard let number = number(index) else { return }
    let name = MessageKey(topic: number, id: "id\(id)")
    let sequence = broker.records.lastSequence
    switch try broker.get(topic: topic(index), id: bytes("id\(id)"), connection: connection).value {
    case .pending(let record):
      note(.kept(name, dueMs: record.dueMs, nowMs: broker.nowMs), sequence)
    case .released: note(.foundReleased(name, nowMs: broker.nowMs), sequence)
    case .cancelled: note(.cancelled(name, nowMs: broker.nowMs), sequence)
    case .unknown: note(.foundNothing(name, nowMs: broker.nowMs), sequence)
    }
  }

  // MARK: Groups

  private func options(_ group: Int, credit: Int, ackWaitMs: Int64) -> ConsumerOptions {
    var options = ConsumerOptions()
    options.credit = credit
    options.ackWaitMs = ackWaitMs
    options.maxAttempts = Self.maxAttempts
    options.isOrdered = Script.groups[group] == "ordered"
    options.tags = Script.groups[group] == "tagged" ? [Array("a".utf8)] : nil
    return options
  }

  private func performOnGroups(_ step: Step, _ connection: UInt64) throws(BrokerStop) {
    switch step {
    case .subscribe(let index, let group, let credit, let ackWaitMs):
      try subscribe(index, group, options(group, credit: credit, ackWaitMs: ackWaitMs), connection)
    case .unsubscribe(let place):
      guard !consumers.isEmpty else { return }
      broker.remove(consumers.remove(at: place % consumers.count))
    case .fetch(let index, let group, let limit, let waitMs):
      let fetcher = try broker.fetcher(
        topic: topic(index), group: bytes(Script.groups[group]), connection: connection,
        options(group, credit: 100, ackWaitMs: 1000))
      remember(index, group)
      consumers.append(fetcher)
      nextToken += 1
      if case .messages(let deliveries) = try broker.fetch(fetcher, limit: limit, waitMs: waitMs, token: nextToken)
        .value
      {
        for delivery in deliveries { take(delivery, broker.records.lastSequence) }
      }
    case .seek(let index, let offset):
      _ = try broker.seek(
        topic: topic(index), group: bytes("moving"), to: .offset(TopicOffset(offset)), connection: connection)
      guard let number = number(index) else { return }
      remember(index, 3)
      let key = GroupKey(topic: number, group: "moving")
      // The broker records what was acknowledged before it moves.
      for ack in acksOfTurn where ack.group == key { note(.acked(key, ack.offset), broker.records.lastSequence) }
      acksOfTurn.removeAll { $0.group == key }
      note(.sought(key), broker.records.lastSequence)
    default: break
    }
  }

  func subscribe(
    _ index: Int, _ group: Int, _ options: ConsumerOptions, _ connection: UInt64
  ) throws(BrokerStop) {
    let consumer = try broker.subscribe(
      topic: topic(index), group: bytes(Script.groups[group]), sub: 1, connection: connection, options
    ).value
    remember(index, group)
    consumers.append(consumer)
  }

  private func remember(_ index: Int, _ group: Int) {
    guard let number = number(index) else { return }
    groupNames[GroupKey(topic: number, group: Script.groups[group])] = (index, group)
  }

  // MARK: Deliveries

  private func performOnDeliveries(_ step: Step) throws(BrokerStop) {
    guard !inHand.isEmpty else { return }
    let place: Int =
      switch step {
      case .ack(let place), .ackUpTo(let place), .nack(let place, _): place % inHand.count
      default: 0
      }
    let held = inHand[place]
    guard number(held.topic) == held.group.topic, let topic = broker.findTopic(topic(held.topic)),
      let group = broker.findGroup(topic, bytes(held.group.group))
    else {
      inHand.remove(at: place)
      return
    }
    switch step {
    case .ack:
      inHand.remove(at: place)
      // Somebody pulls as well, and has come somewhere.
      let queue = UInt8(held.offset % 4)
      _ = try broker.commitOffset(held.offset / 4, ofQueue: queue, in: topic, group: bytes("puller"))
      if try broker.acknowledge(group, .one(held.offset)).value == 1 { acksOfTurn.append((held.group, held.offset)) }
    case .ackUpTo:
      let candidates = inHand.filter { $0.group == held.group && $0.offset <= held.offset }.map(\.offset)
      inHand.removeAll { $0.group == held.group && $0.offset <= held.offset }
      // One by one first, so that it is known which they were; then there is nothing left but what was never seen.
      for offset in Set(candidates).sorted() where try broker.acknowledge(group, .one(offset)).value == 1 {
        acksOfTurn.append((held.group, offset))
      }
      uncertain(held.group, upTo: held.offset)
      _ = try broker.acknowledge(group, .upTo(held.offset))
    case .nack(_, let delayMs): _ = try broker.refuse(group, .one(held.offset), delayMs: delayMs)
    default: break
    }
  }

  /// Deliveries on their way to a client are acknowledged along with an earlier one.
  private func uncertain(_ group: GroupKey, upTo offset: TopicOffset) {
    ledger.mayBeAcked(group, Set((ledger.attempts[group] ?? [:]).keys.filter { $0 <= offset }))
  }
}
