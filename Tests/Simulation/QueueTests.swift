// Queues under loss of power: publishing, expiry, dead letters, bounds, acknowledgements, the catalog.
//
// Holds: everything is drawn from the seed; a client knows an outcome when its journal sequence is settled. Three queues in
// a row: dead letters of one go to the next, those of the last nowhere.
// Leaves to others: everything else that clients do (Simulation).

import Broker
import Engine
import Journal
import Primitives
import SimulatedDisk
import TestSeeds
import Testing

/// Sends dead letters to the next queue.
final class NextQueue: DeadLetterRouter {
  private unowned let run: QueueRun
  private var broker: Broker { run.broker }

  init(_ run: QueueRun) { self.run = run }

  func letters(of record: MessageRecord, endedIn group: Group, because reason: EndReason) -> [Letter] {
    if reason == .expired, record.dueMs > broker.nowMs {
      run.complaints.append("offset \(record.sequence) expired early")
    }
    guard let next = next(group) else { return [] }
    let target = QueueTarget(next, timeToLiveMs: group.topic.name == "queue/0" ? 700 : nil)
    return [Letter(headers: Array(record.headers), tag: Array(record.tag), targets: [target])]
  }

  private func next(_ group: Group) -> Group? {
    Int(group.topic.name.dropFirst(6)).flatMap { broker.findQueue("queue/\($0 + 1)") }
  }
}

/// A run that fills and empties queues, with crashes on the way.
final class QueueRun: PowerCutRun {
  /// What is known about a message; `asked` may have happened, `told` has.
  struct Message {
    var asked: Set<String> = []
    var told: Set<String> = []
    /// Queues whose consumer has refused it for good, and was told so.
    var refusedIn: Set<String> = []
    var isTransient = false
  }

  /// What is written is read from disk again.
  override var settings: EngineSettings {
    var settings = super.settings
    settings.broker.cacheBytes = 0
    return settings
  }

  private var router: NextQueue?
  var messages: [Int: Message] = [:]
  var catalog: [String: Set<String>] = [:]
  private var next = 1
  private var isReckoning = false
  private var selfish: [Consumer] = []
  private var inHand: [(group: Group, offset: TopicOffset, body: Int)] = []

  // MARK: Life

  override func opened() {
    router = NextQueue(self)
    broker.deadLetterRouter = router
    for group in broker.allQueues {
      setRules(group)
      broker.restore(group) { _ = machine!.io.drain() }
    }
    checkCatalog()
  }

  override func connect() throws {
    for number in 0..<3 {
      let group = try broker.findQueue("queue/\(number)") ?? broker.makeQueue("queue/\(number)")
      setRules(group)
      if number == 0 { try consume(group, credit: 3) }
      if number == 2 { try consume(group, credit: 1, acknowledgesItself: true) }
    }
  }

  /// As a front end does: before a restart counts what is there, and when a queue is made.
  private func setRules(_ group: Group) {
    group.queue!.hasDeadLetters = group.topic.name != "queue/2"
    if group.topic.name == "queue/0" { group.queue!.messagesMax = 12 }
    if group.topic.name == "queue/1" { group.queue!.bytesMax = 60 }
  }

  private func consume(_ group: Group, credit: Int, acknowledgesItself: Bool = false) throws {
    var options = ConsumerOptions()
    options.acknowledgesItself = acknowledgesItself
    options.credit = credit
    options.maxAttempts = 4
    let consumer = try broker.consume(group, sub: 1, connection: 1, options)
    if acknowledgesItself { selfish.append(consumer) }
  }

  override func received(_ delivery: Delivery) {
    guard let group = delivery.consumer.group else { return }
    // While there is work, an overdue message may still wait for the disk.
    if isReckoning, delivery.record.dueMs < broker.nowMs {
      complaints.append("offset \(delivery.record.sequence) of \(group.topic.name) was overdue and still there")
    }
    let text = String(decoding: delivery.record.body, as: UTF8.self).dropFirst().dropLast()
    let body = Int(text.drop { $0 == "0" }) ?? -1
    if messages[body]?.refusedIn.contains(group.topic.name) == true {
      complaints.append("message \(body) came again in \(group.topic.name), which has refused it for good")
    }
    guard delivery.consumer.options.acknowledgesItself else {
      return inHand.append((group, delivery.record.sequence, body))
    }
    messages[body]?.asked.insert("ack")
    tell(behind: delivery.waitsForItsEnd ? turnSequence : delivery.consumer.topic.restsOn) {
      self.messages[body]?.told.insert("ack")
    }
  }

  override func lostPower() {
    inHand = []
    selfish = []
    // Transient messages are gone; whatever was known of them counts no more.
    messages = messages.filter { !$0.value.isTransient }
  }

  // MARK: Steps

  override func step() throws {
    switch Int.random(in: 0..<10, using: &random) {
    case 0..<5: publish()
    case 5: keep()
    case 6: for consumer in selfish { broker.setPaused(consumer, !consumer.isPaused) }
    default: try settle()
    }
  }

  private func publish() {
    let number = next
    next += 1
    let text = Array("\"\(String(repeating: "0", count: 6 - String(number).count))\(number)\"".utf8)
    let isTransient = Int.random(in: 0..<4, using: &random) == 0
    let ttls: [Int64?] = [
      nil, 0, Int64.random(in: 1...400, using: &random), Int64.random(in: 1...6000, using: &random),
    ]
    let target = QueueTarget(
      broker.findQueue("queue/\(Int.random(in: 0..<2, using: &random))")!,
      timeToLiveMs: ttls.randomElement(using: &random)!)
    text.withUnsafeBytes { body in
      var parts = MessageParts(id: UnsafeRawBufferPointer(start: nil, count: 0), body: body)
      if isTransient { parts.flags = RecordFlags.transient }
      broker.enqueue(parts, to: [target])
    }
    broker.enforceQueueRules()
    messages[number] = Message(isTransient: isTransient)
    tell { self.messages[number]?.told.insert("published") }
  }

  private func keep() {
    let name = "name/\(Int.random(in: 0..<6, using: &random))"
    let value = "\(next)"
    if Bool.random(using: &random) {
      broker.putInCatalog(Array(name.utf8), Array(value.utf8))
      catalog[name, default: ["none"]].insert(value)
      tell { self.catalog[name] = [value] }
    } else {
      broker.removeFromCatalog(Array(name.utf8))
      catalog[name, default: ["none"]].insert("none")
      tell { self.catalog[name] = ["none"] }
    }
  }

  /// A name has the value told last, or one asked for since: those asked before and told over cannot come back.
  private func checkCatalog() {
    for (name, possible) in catalog {
      let value = broker.catalog[Array(name.utf8)].map { String(decoding: $0, as: UTF8.self) } ?? "none"
      if !possible.contains(value) { complaints.append("\(name) is \(value), not one of \(possible)") }
      catalog[name] = [value]
    }
  }

  private func settle() throws {
    guard !inHand.isEmpty else { return }
    let taken = inHand.remove(at: Int.random(in: 0..<inHand.count, using: &random))
    switch Int.random(in: 0..<3, using: &random) {
    case 0:
      messages[taken.body]?.asked.insert("ack")
      _ = try broker.acknowledge(taken.group, .one(taken.offset))
      tell { self.messages[taken.body]?.told.insert("ack") }
    case 1: _ = try broker.requeue(taken.group, [taken.offset], .refused)
    default:
      _ = try broker.reject(taken.group, [taken.offset])
      tell { self.messages[taken.body]?.refusedIn.insert(taken.group.topic.name) }
    }
  }

  // MARK: Reckoning

  override func reckon() {
    rest(turns: 40, ms: 300)
    guard complaints.isEmpty, machine != nil else { return }
    isReckoning = true
    var found: [Int: Int] = [:]
    turn {
      for consumer in selfish { broker.remove(consumer) }
      for group in broker.allQueues { try self.consume(group, credit: 60_000) }
    }
    let before = inHand.count
    rest(turns: 200, ms: 0, tasks: 60)
    if inHand.count < before { complaints.append("deliveries vanished") }
    for taken in inHand { found[taken.body, default: 0] += 1 }
    for (number, message) in messages.sorted(by: { $0.key < $1.key }) {
      let count = found[number] ?? 0
      var isRight = count <= 1
      if message.told.contains("ack") { isRight = isRight && count == 0 }
      if message.told.contains("published"), !message.asked.contains("ack") { isRight = isRight && count == 1 }
      if !isRight { complaints.append("message \(number): \(message), \(count) times there") }
    }
    if broker.allQueues.contains(where: { $0.readyCount > 0 }) { complaints.append("messages that nobody gets") }
    checkCatalog()
  }
}

@Suite("queues")
struct QueueTests {
  @Test("without faults every message is somewhere once", arguments: Seeds.some(12))
  func calm(seed: UInt64) { QueueRun.expectCalm(seed, turns: 200, "QueueTests/calm") }

  @Test("a loss of power at some operations breaks no promise about queues", arguments: Seeds.some(12))
  func crashes(seed: UInt64) { QueueRun.expectSomeCuts(seed, turns: 120, count: 6, "QueueTests/crashes") }
}
