// Queues under loss of power: publishing, expiry, dead letters, bounds, acknowledgements, the catalog.
//
// Holds: everything is drawn from the seed; a client knows an outcome when its journal sequence is settled. Three queues in
// a row: dead letters of one go to the next, those of the last nowhere.
// Leaves to others: everything else that clients do (Simulation).

import Broker
import Engine
import Foundations
import Journal
import SimulatedDisk
import Testing

/// Sends dead letters to the next queue.
final class NextQueue: DeadLetterRouter {
  unowned let broker: Broker
  var complaints: [String] = []

  init(_ broker: Broker) { self.broker = broker }

  func hasDeadLetters(_ group: Group) -> Bool { next(group) != nil }

  func routeDeadLetter(_ record: MessageRecord, of group: Group, because reason: EndReason) -> Bool {
    if reason == .expired, record.dueMs > broker.nowMs { complaints.append("offset \(record.sequence) expired early") }
    guard let next = next(group) else { return false }
    broker.enqueue(
      record.parts, to: [QueueTarget(next, timeToLiveMs: group.topic.name == "queue/0" ? 700 : nil)],
      endOf: (group, record.sequence))
    return true
  }

  func idleTimerFired(_ group: Group) {}

  private func next(_ group: Group) -> Group? {
    Int(group.topic.name.dropFirst(6)).flatMap { broker.findQueue("queue/\($0 + 1)") }
  }
}

/// A run that fills and empties queues, with crashes on the way.
final class QueueRun {
  /// What is known about a message; `asked` may have happened, `told` has.
  struct Message {
    var asked: Set<String> = []
    var told: Set<String> = []
    var isTransient = false
  }

  static let settings: EngineSettings = {
    var settings = EngineSettings()
    settings.broker.sliceMs = 1000
    settings.broker.segmentBytes = 600
    settings.segmentBytes = SegmentWriter.segmentBytesMin
    settings.checkpointBytes = 1500
    settings.minFreeBytes = 0
    settings.reserveBytes = 0
    return settings
  }()

  var random: SplitMix64
  let seed: UInt64
  let time = SimulatedTime(ms: 1_700_000_000_000)
  var disk: SimulatedStorage
  var machine: SimulatedMachine?
  var router: NextQueue?
  var broker: Broker { machine!.broker }
  var messages: [Int: Message] = [:]
  var catalog: [String: Set<String>] = [:]
  var next = 1
  var complaints: [String] = []
  var crashes = 0
  private var unsettled: [(sequence: Sequence, tell: (QueueRun) -> Void)] = []
  private var isReckoning = false
  private var toldThisTurn: [(QueueRun) -> Void] = []
  private var inHand: [(group: Group, offset: TopicOffset, body: Int)] = []

  init(seed: UInt64, crashAt: Int?) {
    self.seed = seed
    random = SplitMix64(seed: seed)
    disk = SimulatedStorage(seed: seed)
    if let crashAt { disk.setFault(.crash, atOperation: crashAt) }
  }

  // MARK: Life

  func start() {
    while machine == nil {
      do {
        machine = try SimulatedMachine(disk: disk, settings: Self.settings, time: time, seed: seed)
      } catch {
        guard disk.hasCrashed else { return complaints.append("the folder does not open: \(error)") }
        losePower()
      }
    }
    guard let machine else { return }
    router = NextQueue(broker)
    broker.deadLetterRouter = router
    for group in broker.queues { broker.restore(group) { _ = machine.io.drain() } }
    checkCatalog()
    turn { self.declare() }
  }

  private func declare() {
    do {
      for number in 0..<3 {
        let group = try broker.findQueue("queue/\(number)") ?? broker.makeQueue("queue/\(number)")
        if number == 0 { group.contents!.messagesMax = 12 }
        if number == 1 { group.contents!.bytesMax = 60 }
        if number == 0 { try consume(group, credit: 3) }
      }
    } catch { complaints.append("cannot declare: \(error)") }
  }

  private func consume(_ group: Group, credit: Int) throws {
    var options = ConsumerOptions()
    options.credit = credit
    options.maxAttempts = 4
    _ = try broker.consume(group, sub: 1, connection: 1, options)
  }

  private func losePower() {
    machine?.io.abandon()
    machine = nil
    unsettled = []
    inHand = []
    disk = disk.crash(seed: random.next())
    crashes += 1
    // Transient messages are gone; whatever was known of them counts no more.
    messages = messages.filter { !$0.value.isTransient }
  }

  func turn(_ body: () -> Void = {}) {
    guard let machine else { return }
    machine.engine.beginTurn(nowNs: time.nowNs)
    for task in machine.io.takeFinished() { machine.engine.finish(task) }
    body()
    let last = machine.engine.endTurn(mustSync: true)
    unsettled += toldThisTurn.map { (last, $0) }
    toldThisTurn = []
    for effect in broker.effects {
      guard case .deliver(let delivery) = effect, let group = delivery.consumer.group else { continue }
      // While there is work, an overdue message may still wait for the disk.
      if isReckoning, delivery.record.dueMs < broker.nowMs {
        complaints.append("offset \(delivery.record.sequence) of \(group.topic.name) was overdue and still there")
      }
      let text = String(decoding: delivery.record.body, as: UTF8.self).dropFirst().dropLast()
      inHand.append((group, delivery.record.sequence, Int(text.drop { $0 == "0" }) ?? -1))
    }
    complaints += router!.complaints
    background(Int.random(in: 0...8, using: &random))
  }

  private func background(_ count: Int) {
    guard let machine else { return }
    for _ in 0..<count where !disk.hasCrashed {
      switch Int.random(in: 0..<3, using: &random) {
      case 0: machine.io.runOne(lane: 0)
      case 1: machine.io.runOne(lane: 1)
      default: machine.turnJournal()
      }
    }
    let settled = machine.engine.commit.settledSequence
    for one in unsettled where one.sequence <= settled { one.tell(self) }
    unsettled.removeAll { $0.sequence <= settled }
    if disk.hasCrashed {
      losePower()
      start()
    } else if let failure = broker.failure {
      complaints.append("the store stopped: \(failure)")
    }
  }

  /// Called when everything of this turn is settled.
  private func tell(_ body: @escaping (QueueRun) -> Void) { toldThisTurn.append(body) }

  // MARK: Steps

  func run(turns: Int) {
    start()
    for _ in 0..<turns where complaints.isEmpty {
      time.nowNs += Int64.random(in: 0...300, using: &random) * TimeUnits.nsPerMs
      turn { for _ in 0..<Int.random(in: 0...3, using: &random) { step() } }
    }
  }

  private func step() {
    do {
      switch Int.random(in: 0..<10, using: &random) {
      case 0..<5: publish()
      case 5: keep()
      default: try settle()
      }
    } catch { complaints.append("step: \(error)") }
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
    broker.settleQueues()
    messages[number] = Message(isTransient: isTransient)
    tell { $0.messages[number]?.told.insert("published") }
  }

  private func keep() {
    let name = "name/\(Int.random(in: 0..<6, using: &random))"
    let value = "\(next)"
    if Bool.random(using: &random) {
      broker.putInCatalog(name, Array(value.utf8))
      catalog[name, default: ["none"]].insert(value)
      tell { $0.catalog[name] = [value] }
    } else {
      broker.removeFromCatalog(name)
      catalog[name, default: ["none"]].insert("none")
      tell { $0.catalog[name] = ["none"] }
    }
  }

  /// A name has the value told last, or one asked for since: those asked before and told over cannot come back.
  private func checkCatalog() {
    for (name, possible) in catalog {
      let value = broker.catalog[name].map { String(decoding: $0, as: UTF8.self) } ?? "none"
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
      tell { $0.messages[taken.body]?.told.insert("ack") }
    case 1: _ = try broker.requeue(taken.group, [taken.offset])
    default: _ = try broker.reject(taken.group, [taken.offset])
    }
  }

  // MARK: Reckoning

  func reckon() {
    disk.clearFaults()
    for _ in 0..<40 where complaints.isEmpty {
      time.nowNs += 300 * TimeUnits.nsPerMs
      turn()
      background(200)
    }
    guard complaints.isEmpty, machine != nil else { return }
    isReckoning = true
    var found: [Int: Int] = [:]
    turn {
      for group in broker.queues {
        do { try self.consume(group, credit: 60_000) } catch { complaints.append("\(error)") }
      }
    }
    let before = inHand.count
    for _ in 0..<200 {
      turn()
      background(60)
    }
    if inHand.count < before { complaints.append("deliveries vanished") }
    for taken in inHand { found[taken.body, default: 0] += 1 }
    for (number, message) in messages.sorted(by: { $0.key < $1.key }) {
      let count = found[number] ?? 0
      var isRight = count <= 1
      if message.told.contains("ack") { isRight = isRight && count == 0 }
      if message.told.contains("published"), !message.asked.contains("ack") { isRight = isRight && count == 1 }
      if !isRight { complaints.append("message \(number): \(message), \(count) times there") }
    }
    if broker.queues.contains(where: { $0.readyCount > 0 }) { complaints.append("messages that nobody gets") }
    checkCatalog()
  }

}

@Suite("queues")
struct QueueTests {
  static func run(_ seed: UInt64, turns: Int, crashAt: Int?) -> QueueRun {
    let run = QueueRun(seed: seed, crashAt: crashAt)
    run.run(turns: turns)
    run.reckon()
    return run
  }

  @Test("without faults every message is somewhere once", arguments: Seeds.some(12))
  func calm(seed: UInt64) {
    let run = Self.run(seed, turns: 200, crashAt: nil)
    #expect(run.complaints == [], Seeds.replay(seed, "QueueTests/calm"))
  }

  @Test("a loss of power at some operations breaks no promise about queues", arguments: Seeds.some(12))
  func crashes(seed: UInt64) {
    let probe = QueueRun(seed: seed, crashAt: nil)
    probe.run(turns: 120)
    let last = probe.disk.operations
    var random = SplitMix64(seed: seed)
    for _ in 0..<6 {
      let at = Int.random(in: 1...max(1, last), using: &random)
      let run = Self.run(seed, turns: 120, crashAt: at)
      #expect(run.complaints == [], "crash at operation \(at): \(Seeds.replay(seed, "QueueTests/crashes"))")
    }
  }
}
