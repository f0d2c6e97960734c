// Held messages and returned deliveries under loss of power: what a front end builds transactions and retries of.
//
// Holds: everything is drawn from the seed; a client knows an outcome when its journal sequence is settled.
// Leaves to others: everything else that clients do (Simulation).

import Broker
import Engine
import Journal
import Primitives
import SimulatedDisk
import TestSeeds
import Testing

/// A run that holds, decides, delivers and returns messages, with crashes on the way.
final class HoldingRun: PowerCutRun {
  /// What is known about a held message; `asked` may have happened, `told` has.
  struct Half {
    var id: String
    var asked: Set<String> = []
    var told: Set<String> = []
  }
  /// The same of a message that consumers work on.
  struct Work {
    var asked: Set<String> = []
    var told: Set<String> = []
  }

  var halves: [Int: Half] = [:]
  var works: [Int: Work] = [:]
  private var next = 1
  private var inHand: [(consumer: Consumer, offset: TopicOffset, body: String)] = []
  private var seen: [String: [String]] = [:]

  // MARK: Life

  override var settings: EngineSettings {
    var settings = super.settings
    settings.broker.retentionMsDefault = .max
    settings.broker.heldFirstCheckMs = 500
    settings.broker.heldCheckIntervalMs = 1000
    settings.broker.heldChecksMax = 3
    return settings
  }

  override func connect() throws {
    var options = ConsumerOptions()
    options.credit = 4
    options.maxAttempts = 1_000_000
    options.ackWaitMs = 1_000_000_000
    let main = try with("work") { try broker.subscribe(topic: $0, group: $0, sub: 1, connection: 1, options) }.value
    options.createsAlways = true
    _ = try with("again") { again in
      try with("work") {
        try broker.subscribe(topic: again, group: $0, sub: 1, connection: 1, options, companion: main)
      }
    }
  }

  override func received(_ delivery: Delivery) {
    let text = String(decoding: delivery.record.body, as: UTF8.self)
    if delivery.consumer.kind == .tail {
      seen[delivery.consumer.topic.name, default: []].append(text)
    } else {
      inHand.append((delivery.consumer, delivery.record.sequence, text))
    }
  }

  override func lostPower() { inHand = [] }

  func with<R>(_ text: String, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try Array(text.utf8).withUnsafeBytes(body)
  }

  // MARK: Steps

  override func step() throws {
    let number = next
    next += 1
    switch Int.random(in: 0..<10, using: &random) {
    case 0..<3:
      let id = try with("\(number)") { body in
        try with("half") { topic in
          try with("") { id in try broker.hold(topic: topic, MessageParts(id: id, body: body), owner: topic) }
        }
      }
      tell { self.halves[number] = Half(id: id.value.text, told: ["held"]) }
    case 3..<5: try decide()
    case 5..<7:
      _ = try with("\(number)") { body in
        try with("work") { topic in
          try with("") { id in try broker.publish(topic: topic, MessageParts(id: id, body: body)) }
        }
      }
      works[number] = Work()
      tell { self.works[number]!.told.insert("published") }
    default: try work()
    }
  }

  private func decide() throws {
    guard let (number, half) = halves.sorted(by: { $0.key < $1.key }).randomElement(using: &random) else { return }
    let verdict: HeldVerdict = [.release, .release, .drop, .undecided].randomElement(using: &random)!
    halves[number]!.asked.insert("\(verdict)")
    let outcome = try with(half.id) { try broker.decide($0, verdict) }.value
    let text =
      switch outcome {
      case .released: "released"
      case .dropped: "dropped"
      case .abandoned: "abandoned"
      case .held: "held"
      case .unknown: "unknown"
      }
    tell { self.halves[number]!.told.insert(text) }
  }

  private func work() throws {
    guard !inHand.isEmpty else { return }
    let taken = inHand.remove(at: Int.random(in: 0..<inHand.count, using: &random))
    let number = Int(taken.body)!
    switch Int.random(in: 0..<4, using: &random) {
    case 0:
      works[number, default: Work()].asked.insert("ack")
      _ = try broker.acknowledge(taken.consumer.group!, .one(taken.offset))
    case 1:
      guard let message = try broker.delivered(taken.consumer, taken.offset) else { return }
      works[number, default: Work()].asked.insert("pass")
      try with("dead") { topic in
        try with("{}") { try broker.pass(message, of: taken.consumer, headers: $0, to: topic) }
      }
      tell { self.works[number, default: Work()].told.insert("pass") }
    default:
      guard let message = try broker.delivered(taken.consumer, taken.offset) else { return }
      let delayMs = Int64.random(in: 0...3000, using: &random)
      try with("again") { topic in
        try with("{}") {
          try broker.postpone(message, of: taken.consumer, headers: $0, to: topic, delayMs: delayMs)
        }
      }
    }
  }

  // MARK: Reckoning

  override func reckon() {
    // Long enough for every check and every return.
    rest(turns: 60, ms: 500)
    guard complaints.isEmpty, machine != nil else { return }
    let outcomes = halves.mapValues { half in
      (try? with(half.id) { try broker.decide($0, .undecided) })?.value ?? .unknown
    }
    var open: [String: Int] = [:]
    for _ in 0..<400 {
      for taken in inHand {
        open[taken.body, default: 0] += 1
        _ = try? broker.acknowledge(taken.consumer.group!, .one(taken.offset))
      }
      inHand = []
      rest(turns: 1, ms: 0, tasks: 60)
    }
    let logs = ["half", "dead", settings.broker.abandonedTopic].map { name in
      Dictionary(grouping: read(name)) { $0 }.mapValues(\.count)
    }
    for (number, half) in halves { judge(number, half, outcomes[number]!, logs[0], logs[2]) }
    for number in works.keys { judge(number, works[number]!, open["\(number)"] ?? 0, logs[1]["\(number)"] ?? 0) }
    let unknown = logs[0].keys.filter { halves[Int($0)!]?.asked.contains("release") != true }
    if !unknown.isEmpty { complaints.append("released without being asked to: \(unknown.sorted())") }
  }

  private func judge(
    _ number: Int, _ half: Half, _ outcome: HeldOutcome, _ log: [String: Int], _ abandoned: [String: Int]
  ) {
    let count = log["\(number)"] ?? 0
    let given = abandoned["\(number)"] ?? 0
    var isRight = count + given <= 1
    if half.told.contains("released") { isRight = isRight && count == 1 }
    if half.told.contains("dropped") { isRight = isRight && count + given == 0 }
    if half.told.contains("abandoned") { isRight = isRight && given == 1 }
    if half.told.contains("unknown") { isRight = false }
    if half.asked.isDisjoint(with: ["release", "drop"]) { isRight = isRight && given == 1 && outcome == .abandoned }
    switch outcome {
    case .released: isRight = isRight && count == 1
    case .abandoned: isRight = isRight && given == 1
    case .dropped: isRight = isRight && count + given == 0
    case .held, .unknown: isRight = false
    }
    if !isRight {
      complaints.append("half \(number): \(half), at last \(outcome), \(count) times out, \(given) given up")
    }
  }

  private func judge(_ number: Int, _ work: Work, _ open: Int, _ dead: Int) {
    var isRight = open + dead <= 1
    if work.told.contains("published"), work.asked.isEmpty { isRight = isRight && open == 1 }
    if work.told.contains("pass") { isRight = isRight && dead == 1 }
    if !work.asked.contains("pass") { isRight = isRight && dead == 0 }
    if !isRight { complaints.append("work \(number): \(work), \(open) times open, \(dead) times dead") }
  }

  private func read(_ name: String) -> [String] {
    guard let topic = with(name, { broker.findTopic($0) }) else { return [] }
    seen[name] = []
    var options = ConsumerOptions()
    options.from = .earliest
    turn {
      do { _ = try with(name) { try broker.subscribe(topic: $0, group: nil, sub: 2, connection: 2, options) } } catch {
        complaints.append("\(name) cannot be read: \(error)")
      }
    }
    for _ in 0..<400 where UInt64(seen[name]!.count) < topic.log.nextOffset {
      rest(turns: 1, ms: 0, tasks: 60)
    }
    return seen[name]!
  }
}

@Suite("holding and returning")
struct HoldingTests {
  @Test("without faults every held message ends once, and every return arrives once", arguments: Seeds.some(12))
  func calm(seed: UInt64) { HoldingRun.expectCalm(seed, turns: 150, "HoldingTests/calm") }

  @Test("a loss of power at some operations breaks no promise about them", arguments: Seeds.some(12))
  func crashes(seed: UInt64) { HoldingRun.expectSomeCuts(seed, turns: 100, "HoldingTests/crashes") }

  /// A subscription with a companion: what comes back to a consumer comes by another topic.
  private final class PairRun: PowerCutRun {
    private var consumers: [Consumer] = []
    private(set) var offsets: [String: [TopicOffset]] = [:]

    override func connect() throws {
      var options = ConsumerOptions()
      options.credit = 3
      consumers = [try subscribe("work", options, nil)]
      consumers.append(try subscribe("again", options, consumers[0]))
    }

    private func subscribe(_ topic: String, _ options: ConsumerOptions, _ companion: Consumer?) throws -> Consumer {
      try Array(topic.utf8).withUnsafeBytes {
        try broker.subscribe(topic: $0, group: $0, sub: 1, connection: 1, options, companion: companion).value
      }
    }

    override func received(_ delivery: Delivery) {
      offsets[delivery.consumer.topic.name, default: []].append(delivery.record.sequence)
    }

    func publish(_ topic: String) throws {
      _ = try Array(topic.utf8).withUnsafeBytes {
        try broker.publish(topic: $0, MessageParts(id: UnsafeRawBufferPointer(rebasing: $0[..<0]), body: $0))
      }
    }

    func acknowledge(_ topic: String) throws {
      let consumer = try #require(consumers.first { $0.topic.name == topic })
      _ = try broker.acknowledge(consumer.group!, .one(offsets[topic]!.removeFirst()))
    }

    var inHand: Int { offsets.values.reduce(0) { $0 + $1.count } }
  }

  @Test("two subscriptions that belong together have one credit")
  func sharedCredit() {
    let run = PairRun(seed: 1, crashAt: nil)
    run.run(turns: 0)
    run.turn { for topic in ["work", "work", "again", "again", "work", "again"] { try run.publish(topic) } }
    run.rest(turns: 3, ms: 1)
    #expect(run.inHand == 3)
    while let topic = run.offsets.first(where: { !$0.value.isEmpty })?.key, run.complaints.isEmpty {
      let before = run.inHand
      run.turn { try run.acknowledge(topic) }
      run.rest(turns: 3, ms: 1)
      #expect(run.inHand <= 3 && run.inHand >= before - 1)
    }
    #expect(run.complaints == [])
  }
}
