// An exchange that delays under loss of power: release, and the way from its relay into queues.
//
//   publish ──► delayed (x-delay, sometimes a name) ──released──► one and, by the key "both", two
//
// Holds: a message has a number that is its body; a confirmed one is in each of its queues once, never before its time, unless
// it was replaced or cancelled, and what comes out at the same time comes in the order in which it was published.
// Leaves to others: sockets (EndToEnd), what bindings match (EndToEnd), pending messages by themselves (Simulation).

import Broker
import Engine
import LineProtocol
import Primitives
import RabbitMQFrontEnd
import SimulatedDisk
import TestSeeds
import Testing

final class DelayedRun: PowerCutRun {
  struct Message {
    var goesToBoth = false
    var name: Text?
    var dueMs: UnixMs = 0
    var isConfirmed = false
    /// Whether a later message of its name, or a cancel, may have come before its time.
    var mayBeGone = false
    /// Whether that was confirmed before its time.
    var isGone = false
    var isAckTold = false
    var queues: [Text] { goesToBoth ? ["one", "two"] : ["one"] }
  }

  /// What is written is read from disk again.
  override var settings: EngineSettings {
    var settings = super.settings
    settings.broker.cacheBytes = 0
    settings.broker.maxDelayMs = 60_000
    return settings
  }

  private var rabbitMQ: RabbitMQ?
  private(set) var messages: [Int: Message] = [:]
  private var lastOfName: [Text: Int] = [:]
  private var next = 1
  private var found: [String: Int] = [:]
  private var inHand: [(group: Group, offset: TopicOffset, number: Int)] = []
  private var lastDelivered: [Text: (dueMs: UnixMs, number: Int)] = [:]
  private var acknowledges = true

  // MARK: Topology

  override func opened() {
    let front = RabbitMQ(broker)
    front.restore { _ = machine!.io.drain() }
    rabbitMQ = front
  }

  override func connect() throws {
    let front = rabbitMQ!
    _ = try front.declare(
      RabbitMQ.ExchangeDeclaration(
        name: "delayed", kind: .delayed, isDurable: true, isAutoDelete: false, isInternal: false,
        arguments: [.init("x-delayed-type", .string("topic"))]))
    for (name, key) in [("one", "#"), ("two", "both")] as [(Text, Text)] {
      let queue = RabbitMQ.QueueDeclaration(
        name: name, isDurable: true, isExclusive: false, isAutoDelete: false, arguments: [])
      _ = try front.declare(queue, 1)
      _ = try front.bind(name, "delayed", key, [], 1)
      _ = try front.consume(try front.queue(name, 1), sub: 1, connection: 1, prefetch: 0, noAck: false)
    }
  }

  override func lostPower() {
    inHand = []
    lastDelivered = [:]
    found = [:]
  }

  // MARK: Clients

  override func step() throws {
    switch Int.random(in: 0..<8, using: &random) {
    case 0: try cancel()
    case 1, 2: try acknowledge()
    default: try publish()
    }
  }

  private func publish() throws {
    let number = next
    next += 1
    var message = Message()
    message.goesToBoth = Bool.random(using: &random)
    let delayMs = Int64.random(in: 1...4000, using: &random)
    message.dueMs = broker.nowMs + delayMs
    var headers = "\"x-delay\":\(delayMs)"
    if Int.random(in: 0..<3, using: &random) == 0 {
      let name = Text("name-\(Int.random(in: 0..<4, using: &random))")
      message.name = name
      headers += ",\"x-delay-id\":\"\(name)\""
      endPending(name)
      lastOfName[name] = number
    }
    messages[number] = message
    try send(headers, number)
    tell { self.messages[number]?.isConfirmed = true }
  }

  private func cancel() throws {
    let name = Text("name-\(Int.random(in: 0..<4, using: &random))")
    endPending(name)
    lastOfName[name] = nil
    try send("\"x-delay-id\":\"\(name)\",\"x-delay-cancel\":true", 0)
  }

  /// What is pending under a name is replaced or cancelled, if its time has not come in this turn already.
  private func endPending(_ name: Text) {
    guard let number = lastOfName[name], let message = messages[number] else { return }
    messages[number]?.mayBeGone = true
    guard message.isConfirmed, message.dueMs > broker.nowMs + 1 else { return }
    tell { self.messages[number]?.isGone = true }
  }

  private func send(_ headers: String, _ number: Int) throws {
    let line = Array("{\"properties\":{\"headers\":{\(headers)}}}".utf8)
    let body = Array("\(number)".utf8)
    let key: Text = messages[number]?.goesToBoth == true ? "both" : "single"
    let reader = RequestReader()
    try line.withUnsafeBytes { line in
      try body.withUnsafeBytes { body in
        var publication = Publication(exchange: "delayed", routingKey: key, body: body, encoding: .text)
        try reader.parse(line)
        publication.properties = .json(try #require(try reader.object(.properties)))
        publication.isPersistent = true
        _ = try rabbitMQ!.publish(publication)
      }
    }
  }

  private func acknowledge() throws {
    guard acknowledges, !inHand.isEmpty else { return }
    let (group, offset, number) = inHand.remove(at: Int.random(in: 0..<inHand.count, using: &random))
    // The two copies of one message are acknowledged apart; those of "both" stay, to be counted.
    guard messages[number]?.goesToBoth == false else { return }
    _ = try broker.acknowledge(group, .one(offset))
    messages[number]?.mayBeGone = true
    tell { self.messages[number]?.isAckTold = true }
  }

  override func received(_ delivery: Delivery) {
    guard let group = delivery.consumer.group else { return }
    let number = Int(String(decoding: delivery.record.body, as: UTF8.self))!
    let queue = Text(group.topic.name.dropFirst("rabbitmq/queue/".count).description)
    inHand.append((group, delivery.record.sequence, number))
    found["\(number) \(queue)", default: 0] += 1
    guard let message = messages[number] else { return complaints.append("\(number) is not known") }
    if !message.queues.contains(queue) { complaints.append("\(number) came to \(queue)") }
    if time.nowMs < message.dueMs { complaints.append("\(number) came \(message.dueMs - time.nowMs) ms early") }
    if message.isGone { complaints.append("\(number) came after it was replaced or cancelled") }
    if message.isAckTold { complaints.append("\(number) came after its acknowledgement") }
    judgeOrder(queue, number, message, isFirst: delivery.attempt == 1)
    var shown = ByteBuffer()
    rabbitMQ!.writeFields(of: delivery.record, to: &shown)
    let text = String(decoding: shown.readable, as: UTF8.self)
    if !text.contains("\"x-delay\":-") || text.contains("x-death") { complaints.append("\(number) shows \(text)") }
  }

  private func judgeOrder(_ queue: Text, _ number: Int, _ message: Message, isFirst: Bool) {
    guard isFirst else { return }
    if let last = lastDelivered[queue], (last.dueMs, last.number) > (message.dueMs, number) {
      // Messages of one turn may have a due time that was past already when the other one was released.
      if last.dueMs > message.dueMs + 1 { complaints.append("\(number) came behind \(last.number)") }
    }
    lastDelivered[queue] = (message.dueMs, number)
  }

  // MARK: Reckoning

  override func reckon() {
    acknowledges = false
    rest(turns: 40, ms: 300)
    guard complaints.isEmpty, machine != nil else { return }
    // Everything that is there is delivered anew.
    restart(cleanly: true, salvaging: false)
    rest(turns: 40, ms: 50)
    for (number, message) in messages.sorted(by: { $0.key < $1.key }) {
      let counts = (["one", "two"] as [Text]).map { found["\(number) \($0)"] ?? 0 }
      var isRight = counts[0] <= 1 && counts[1] <= 1
      if message.isConfirmed, !message.mayBeGone { isRight = counts == [1, message.goesToBoth ? 1 : 0] }
      if message.goesToBoth, counts[0] != counts[1] { isRight = false }
      if message.isGone || message.isAckTold { isRight = counts == [0, 0] }
      if !isRight { complaints.append("message \(number): \(message), \(counts) times there") }
    }
    let relay = broker.findQueue("rabbitmq/delayed/delayed")!
    if relay.readyCount > 0 || relay.topic.pendingCount > 0 { complaints.append("messages stay in the relay") }
  }
}

@Suite("delayed exchange")
struct DelayedExchangeTests {
  @Test("without faults every message comes once, at its time", arguments: Seeds.some(12))
  func calm(seed: UInt64) { DelayedRun.expectCalm(seed, turns: 150, "DelayedExchangeTests/calm") }

  @Test("a loss of power at any operation loses and doubles nothing", arguments: Seeds.some(1))
  func everywhere(seed: UInt64) { DelayedRun.expectCutsEverywhere(seed, turns: 25, "DelayedExchangeTests/everywhere") }

  @Test("a loss of power at some operations of a long run", arguments: Seeds.some(8))
  func sampled(seed: UInt64) { DelayedRun.expectSomeCuts(seed, turns: 120, "DelayedExchangeTests/sampled") }
}
