// What replies and events say, told to the ledger; and what the client remembers of them.

import Primitives

extension Client {
  func answered(_ request: Asked, _ reply: [String: Any]) {
    switch request.about {
    case .message(let key, let what): answeredMessage(request, key, what, reply)
    case .subscribe(let topic, let group):
      guard let sub = reply["sub"] as? Int else { return ledger.complain("no sub: \(reply)") }
      subs[sub] = (topic, group)
    case .fetch(let group, _):
      for message in reply["messages"] as? [[String: Any]] ?? [] { given(message, group, isFetched: true) }
    case .ack(let group, let offset): if reply["acked"] as? Int ?? 1 == 1 { ledger.ack(group, offset) }
    case .list:
      let dues = (reply["messages"] as? [[String: Any]] ?? []).map { $0["deliverAtMs"] as? Int64 ?? 0 }
      if dues != dues.sorted() { ledger.complain("a listing is out of order: \(dues)") }
    case .enqueue(let queue, let version): ledger.queues[queue]?[version]?.isConfirmed = true
    case .consume(let queue):
      guard let tag = reply["consumerTag"] as? String else { return ledger.complain("no consumer tag: \(reply)") }
      consumerTags[tag] = queue
    case .dequeue(let queue): if reply["empty"] == nil { delivered(queue, reply) }
    case .settle(let queue, let version, let isAck):
      let epoch = ledger.epoch
      if isAck { ledger.queues[queue]?[version]?.ackedIn = epoch }
    case .rocketSubscribe: rocketSub = reply["sub"] as? Int
    case .plain: break
    }
  }

  private func answeredMessage(
    _ request: Asked, _ key: MessageKey, _ what: MessageRequest, _ reply: [String: Any]
  ) {
    var outcome = reply["outcome"] as? String ?? reply["state"] as? String ?? ""
    var dueMs = (reply["deliverAtMs"] ?? reply["deliverTimeMs"]) as? Int64
    if let offset = (reply["offset"] ?? reply["queueOffset"]) as? UInt64, case .publish(let version) = what {
      outcome = "published"
      ledger.see(key.topic, offset, version: version)
    }
    if reply["sendStatus"] != nil, dueMs != nil { outcome = "scheduled" }
    if !["scheduled", "replaced", "kept", "rescheduled", "pending"].contains(outcome) { dueMs = nil }
    ledger.answer(key, outcome, dueMs: dueMs, version: reply["body"] as? Int, nowMs: nowMs)
    if let handle = reply["recallHandle"] as? String { handles.append((key, handle)) }
    if let dueMs, dueMs > nowMs, ["scheduled", "replaced", "rescheduled"].contains(outcome) {
      ledger.acceptances[key] = WireLedger.Acceptance(
        sent: request.sent, answered: run.events, connection: connection, dueMs: dueMs)
    } else if outcome != "pending" {
      ledger.acceptances[key] = nil
    }
  }

  // MARK: Events

  func hear(event: String, _ fields: [String: Any]) {
    run.count(event)
    switch event {
    case "message":
      guard let sub = fields["sub"] as? Int, let (topic, group) = subs[sub] else {
        return ledger.complain("a message for no subscription: \(fields)")
      }
      given(fields, group.map { GroupKey(topic: topic, group: $0) }, isFetched: false)
    case "rabbitmq.deliver":
      guard let tag = fields["consumerTag"] as? String, let queue = consumerTags[tag] else {
        return ledger.complain("a delivery for no consumer: \(fields)")
      }
      delivered(queue, fields)
    case "rocketmq.message":
      guard let topic = fields["topic"] as? String, let offset = fields["queueOffset"] as? UInt64,
        let version = (fields["body"] as? String).flatMap({ Int($0) }), let id = fields["msgId"] as? String,
        let sub = fields["sub"] as? Int
      else { return ledger.complain("a strange message: \(fields)") }
      ledger.see(topic, offset, version: version)
      ledger.give(GroupKey(topic: topic, group: "rocket"), offset, attempt: run.events, isFetched: false)
      whenRead { [unowned self] in rocketInHand.append(RocketInHand(sub: sub, id: id, offset: offset)) }
    default: ledger.complain("an event that nobody expects: \(fields)")
    }
  }

  private func given(_ fields: [String: Any], _ group: GroupKey?, isFetched: Bool) {
    guard let topic = fields["topic"] as? String, let offset = fields["offset"] as? UInt64,
      let attempt = fields["attempt"] as? Int, let id = fields["id"] as? String,
      let dueMs = fields["deliverAtMs"] as? Int64, let releasedMs = fields["releasedAtMs"] as? Int64,
      let version = fields["body"] as? Int ?? (fields["body"] as? String).flatMap({ Int($0) })
    else { return ledger.complain("a strange message: \(fields)") }
    // A message of the RocketMQ front end has an id of the server's making.
    let key = topic == "rocket" ? MessageKey(topic: topic, id: "\(version)") : MessageKey(topic: topic, id: id)
    if topic.hasSuffix(".dlq") {
      ledger.see(topic, offset, version: version)
    } else {
      ledger.seeDelivery(key, offset, version: version, dueMs: dueMs, releasedMs: releasedMs, nowMs: nowMs)
    }
    guard let group else { return }
    if group.group != "moving" { ledger.give(group, offset, attempt: attempt, isFetched: isFetched) }
    whenRead { [unowned self] in inHand.append(InHand(group: group, offset: offset)) }
  }

  private func delivered(_ queue: String, _ fields: [String: Any]) {
    guard let version = (fields["body"] as? String).flatMap({ Int($0) }), let tag = fields["deliveryTag"] as? Int,
      let isRedelivered = fields["redelivered"] as? Bool
    else { return ledger.complain("a strange delivery: \(fields)") }
    ledger.deliver(queue, version: version, isRedelivered: isRedelivered)
    whenRead { [unowned self] in queuedInHand.append(QueuedInHand(queue: queue, version: version, tag: tag)) }
  }
}
