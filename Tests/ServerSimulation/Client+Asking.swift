// What a client asks, drawn from the run's seed.

import Primitives
import SeededRandom

extension Client {
  static let topics = ["orders", "mail"]
  static let groups = ["plain", "fetching", "dying", "moving"]
  static let queues = ["work", "short", "letters"]

  /// What every connection begins with: nothing of it changes anything the second time.
  func introduce() {
    ask("hello", #""protocol":1,"client":"simulated""#, .plain)
    ask("rabbitmq.queueDeclare", #""queue":"work","durable":true"#, .plain)
    ask("rabbitmq.queueDeclare", #""queue":"letters","durable":true"#, .plain)
    let dying = #"{"x-message-ttl":300,"x-dead-letter-exchange":"","x-dead-letter-routing-key":"letters"}"#
    ask("rabbitmq.queueDeclare", #""queue":"short","durable":true,"arguments":\#(dying)"#, .plain)
  }

  private func random(_ range: Range<Int>) -> Int { Int.random(in: range, using: &run.random) }
  private func pick<T>(_ choices: [T]) -> T { choices[random(0..<choices.count)] }

  /// One request.
  func askSomething() {
    switch random(0..<100) {
    case 0..<28: askSchedule()
    case 28..<36: askAbout("cancel", .cancel)
    case 36..<42: askReschedule()
    case 42..<47: askAbout("get", .get)
    case 47..<49: ask("list", #""topic":"\#(pick(Self.topics))","limit":\#(random(1..<20))"#, .list)
    case 49..<54: askPublish()
    case 54..<58: askSubscribe()
    case 58..<64: askFetch()
    case 64..<78: askAboutDelivery()
    case 78..<79: askSeek()
    case 79..<86: askEnqueue()
    case 86..<88: askConsume()
    case 88..<92: askSettle()
    case 92..<94: askDequeue()
    case 94..<97: askRocketSend()
    default: askRocketRest()
    }
  }

  // MARK: Messages

  private func key() -> MessageKey {
    let slot = random(0..<generations.count)
    if random(0..<4) == 0 { generations[slot] += 1 }
    return MessageKey(topic: pick(Self.topics), id: "c\(number)-\(slot)-\(generations[slot])")
  }

  private func dueMs() -> UnixMs {
    switch random(0..<10) {
    case 0: nowMs - Int64(random(0..<5000))
    case 1..<4: nowMs + Int64(random(0..<30))
    case 4..<7: (nowMs / 500 + 1 + Int64(random(0..<3))) * 500
    case 7: nowMs + Int64(random(30..<3000))
    case 8: nowMs + Int64(random(3000..<70_000))
    default: nowMs + Int64(random(70_000..<5_000_000))
    }
  }

  private func askSchedule() {
    if !retries.isEmpty, random(0..<2) == 0 {
      let (key, request) = retries.removeFirst()
      if !busyKeys.contains(key) { return askSchedule(key, request) }
    }
    let key = key()
    guard !busyKeys.contains(key) else { return }
    let version = run.makeVersion(key)
    let ifExists = pick(["keep", "keep", "replace", "reject"])
    if random(0..<5) == 0 {
      let delayMs = Int64(random(0..<2000))
      let request = MessageRequest.schedule(version: version, dueMs: nowMs + delayMs...Int64.max, ifExists: ifExists)
      ask(
        "schedule",
        #""topic":"\#(key.topic)","id":"\#(key.id)","body":\#(version),"delayMs":\#(delayMs),"ifExists":"\#(ifExists)""#,
        .message(key, request))
    } else {
      let dueMs = dueMs()
      askSchedule(key, .schedule(version: version, dueMs: dueMs...dueMs, ifExists: ifExists))
    }
  }

  /// A schedule with a time, for the first time or again.
  private func askSchedule(_ key: MessageKey, _ request: MessageRequest) {
    guard case .schedule(let version, let dueMs, let ifExists) = request else { return }
    let fields =
      #""topic":"\#(key.topic)","id":"\#(key.id)","body":\#(version),"deliverAtMs":\#(dueMs.lowerBound),"#
      + #""ifExists":"\#(ifExists)""#
    // The time of a delay that was asked for before is not known: the range stays open above.
    ask("schedule", fields, .message(key, request))
  }

  private func askReschedule() {
    let key = key()
    guard !busyKeys.contains(key) else { return }
    let dueMs = dueMs()
    ask(
      "reschedule", #""topic":"\#(key.topic)","id":"\#(key.id)","deliverAtMs":\#(dueMs)"#,
      .message(key, .reschedule(dueMs: dueMs...dueMs)))
  }

  private func askAbout(_ op: String, _ request: MessageRequest) {
    let key = key()
    if !busyKeys.contains(key) { ask(op, #""topic":"\#(key.topic)","id":"\#(key.id)""#, .message(key, request)) }
  }

  private func askPublish() {
    let key = MessageKey(topic: pick(Self.topics), id: "p\(run.nextVersion)")
    let version = run.makeVersion(key)
    ask(
      "publish", #""topic":"\#(key.topic)","id":"\#(key.id)","body":\#(version)"#,
      .message(key, .publish(version: version)))
  }

  // MARK: Groups

  private func options(_ group: String) -> String {
    let attempts = group == "dying" ? 2 : 100_000
    return #""ackWaitMs":\#(pick([700, 5000, 30_000])),"maxAttempts":\#(attempts)"#
  }

  private func askSubscribe() {
    let topic = pick(Self.topics)
    if random(0..<4) == 0 {
      ask("subscribe", #""topic":"\#(topic)""#, .subscribe(topic: topic, group: nil))
    } else {
      let group = pick(Self.groups)
      ask(
        "subscribe", #""topic":"\#(topic)","group":"\#(group)","credit":\#(random(1..<8)),\#(options(group))"#,
        .subscribe(topic: topic, group: group))
    }
  }

  private func askFetch() {
    let topic = pick(Self.topics)
    let group = pick(["plain", "fetching", "fetching", "moving"])
    let waitMs = random(0..<2) == 0 ? 0 : random(1..<2000)
    ask(
      "fetch",
      #""topic":"\#(topic)","group":"\#(group)","max":\#(random(1..<5)),"waitMs":\#(waitMs),\#(options(group))"#,
      .fetch(GroupKey(topic: topic, group: group), waits: waitMs > 0))
  }

  private func askAboutDelivery() {
    guard !inHand.isEmpty else { return }
    let held = inHand.remove(at: random(0..<inHand.count))
    let fields = #""topic":"\#(held.group.topic)","group":"\#(held.group.group)","offset":\#(held.offset)"#
    switch random(0..<10) {
    case 0..<6:
      ledger.askAck(held.group, held.offset)
      ask("ack", fields, .ack(held.group, held.offset))
    case 6..<8:
      ask("nack", fields + (random(0..<2) == 0 ? "" : #","delayMs":\#(random(0..<2000))"#), .plain)
    default:
      inHand.append(held)
      ask("touch", fields, .plain)
    }
  }

  private func askSeek() {
    let key = GroupKey(topic: pick(Self.topics), group: "moving")
    ledger.move(key)
    ask("seek", #""topic":"\#(key.topic)","group":"moving","to":{"offset":\#(random(0..<10))}"#, .plain)
  }

  // MARK: RabbitMQ

  private func askEnqueue() {
    let queue = pick(["work", "work", "short"])
    let version = run.makeVersion(nil)
    ledger.queues[queue, default: [:]][version] = QueuedMessage()
    // Where its life ends if nobody takes it.
    if queue == "short" { ledger.queues["letters", default: [:]][version] = QueuedMessage() }
    ask(
      "rabbitmq.publish",
      #""exchange":"","routingKey":"\#(queue)","body":"\#(version)","properties":{"deliveryMode":2}"#,
      .enqueue(queue: queue, version: version))
  }

  private func askConsume() {
    let queue = pick(["work", "letters"])
    ask("rabbitmq.consume", #""queue":"\#(queue)","prefetch":\#(random(1..<5))"#, .consume(queue: queue))
  }

  private func askDequeue() {
    let queue = pick(["work", "letters"])
    ask("rabbitmq.get", #""queue":"\#(queue)""#, .dequeue(queue: queue))
  }

  private func askSettle() {
    guard !queuedInHand.isEmpty else { return }
    let held = queuedInHand.remove(at: random(0..<queuedInHand.count))
    if random(0..<3) > 0 {
      ledger.queues[held.queue]?[held.version]?.isAckAsked = true
      ask(
        "rabbitmq.ack", #""deliveryTag":\#(held.tag)"#,
        .settle(queue: held.queue, version: held.version, isAck: true))
    } else {
      ask(
        "rabbitmq.nack", #""deliveryTag":\#(held.tag),"requeue":true"#,
        .settle(queue: held.queue, version: held.version, isAck: false))
    }
  }

  // MARK: RocketMQ

  private func askRocketSend() {
    let version = run.nextVersion
    let key = MessageKey(topic: "rocket", id: "\(version)")
    _ = run.makeVersion(key)
    if random(0..<4) == 0 {
      return ask("rocketmq.send", #""topic":"rocket","body":"\#(version)""#, .message(key, .publish(version: version)))
    }
    let delayMs = Int64(random(1..<3000))
    ask(
      "rocketmq.send", #""topic":"rocket","body":"\#(version)","delayTimeMs":\#(delayMs)"#,
      .message(key, .schedule(version: version, dueMs: nowMs + delayMs...Int64.max, ifExists: "keep")))
  }

  private func askRocketRest() {
    if !rocketInHand.isEmpty, random(0..<2) == 0 {
      let held = rocketInHand.remove(at: random(0..<rocketInHand.count))
      let group = GroupKey(topic: "rocket", group: "rocket")
      ledger.askAck(group, held.offset)
      return ask("rocketmq.ack", #""sub":\#(held.sub),"msgId":"\#(held.id)""#, .ack(group, held.offset))
    }
    if !handles.isEmpty, random(0..<2) == 0 {
      let (key, handle) = handles.remove(at: random(0..<handles.count))
      if busyKeys.contains(key) { return }
      return ask("rocketmq.recall", #""topic":"rocket","recallHandle":"\#(handle)""#, .message(key, .cancel))
    }
    guard rocketSub == nil else { return }
    ask("rocketmq.subscribe", #""topic":"rocket","consumerGroup":"rocket","credit":3"#, .rocketSubscribe)
  }
}
