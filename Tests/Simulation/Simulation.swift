// A run of a script against the production engine, with crashes on the way and a reckoning at the end.
//
// Holds: everything is drawn from the seed; a reply is acknowledged when its journal sequence is settled, a delivery is seen
// when its topic's newest append is, as in the server.
// Leaves to others: the commands themselves (Simulation+Steps), judging (Ledger).

import Broker
import DataFiles
import DecisionLog
import Engine
import Primitives
import SimulatedDisk
import SimulatedLog

/// A simulation.
final class Simulation {
  let seed: UInt64
  let script: Script
  let time = SimulatedTime(ms: 1_700_000_000_000)
  let bug: PlantedBug?
  var settings: EngineSettings
  var disk: SimulatedStorage
  /// The log, when it is not a journal on the disk.
  let medium: LogMedium?
  var machine: SimulatedMachine?
  var ledger: Ledger
  var random: SplitMix64
  /// Crashes so far.
  private(set) var crashes = 0
  /// Refused starts and the like: the run cannot go on.
  var isBroken = false
  /// Set by a run that plants failures of single operations: then a stop of the store is no complaint.
  var expectsFailure = false

  var broker: Broker { machine!.broker }
  var engine: Engine { machine!.engine }

  /// What the running broker held, for the next start to be compared with.
  private(set) var history = StateHistory()

  // The clients.
  var texts: [String: UnsafeMutableRawBufferPointer] = [:]
  var nextVersion: Version = 1
  var nextConnection: UInt64 = 1
  var nextToken: UInt64 = 1
  var consumers: [Consumer] = []
  var blocked: [UInt64: Step] = [:]
  var inHand: [(group: GroupKey, topic: Int, offset: TopicOffset)] = []
  /// Recorded by the broker at the end of the turn.
  var acksOfTurn: [(group: GroupKey, offset: TopicOffset)] = []
  var groupNames: [GroupKey: (topic: Int, group: Int)] = [:]
  var unsettled: [(sequence: Sequence, tell: (Simulation) -> Void)] = []
  /// Set while the whole log of a topic is read.
  var audit: (consumer: Consumer, log: [(offset: TopicOffset, message: Ledger.Seen)])?
  /// What the last drain gave to each group.
  var drained: [GroupKey: Set<TopicOffset>]?

  init(seed: UInt64, turns: Int, bug: PlantedBug? = nil, deletesTopics: Bool = true, log: LogMedium.Kind? = nil) {
    self.seed = seed
    medium = log.map {
      LogMedium($0, identity: LogIdentity(store: StoreID(low: seed, high: 1), hashKey: StoreID(low: seed, high: 2)))
    }
    self.bug = bug
    script = Script(seed: seed, turns: turns, deletesTopics: deletesTopics)
    random = SplitMix64(seed: seed)
    settings = Self.settings(&random)
    disk = SimulatedStorage(seed: seed)
    ledger = Ledger(idWindowMs: settings.broker.idWindowMs)
    setNearBytes()
  }

  deinit { for text in texts.values { text.deallocate() } }

  /// Everything small, so that a short script meets every border.
  private static func settings(_ random: inout SplitMix64) -> EngineSettings {
    var settings = EngineSettings()
    settings.broker.tickMs = Bool.random(using: &random) ? 1 : 10
    settings.broker.wheelSize = [4, 16, 512].randomElement(using: &random) ?? 512
    settings.broker.sliceMs = 1000
    settings.broker.idWindowMs = Bool.random(using: &random) ? 8000 : 600_000
    settings.broker.segmentBytes = 600
    settings.broker.cacheBytes = Bool.random(using: &random) ? 2048 : 1 << 20
    settings.broker.releasesPerTurn = 3
    settings.broker.copiesPerTurn = 3
    settings.broker.deliveriesPerTurn = 4
    settings.broker.retentionMsDefault = .max
    settings.checkpointBytes = [300, 1500, 6000].randomElement(using: &random) ?? 1500
    settings.minFreeBytes = 16 << 10
    settings.reserveBytes = 64 << 10
    return settings
  }

  /// How much of what is near has room in memory: another amount in each life.
  private func setNearBytes() {
    settings.broker.nearBytesMax = [4000, 700, 1 << 30, 0][(Int(seed % 4) + crashes) % 4]
  }

  // MARK: Life of a process

  /// Opens the folder; crashes during that are answered by opening it again.
  func start() {
    while machine == nil, !isBroken {
      do {
        machine = try SimulatedMachine(
          disk: disk, settings: settings, time: time, seed: seed, bug: bug, medium: medium)
        if crashes > 0 || expectsFailure { tellLedger() }
        if let machine, bug == nil { for line in history.differences(machine, disk) { ledger.complain(line) } }
      } catch {
        if disk.hasCrashed {
          losePower()
        } else {
          if !expectsFailure { ledger.complain("the folder does not open: \(error)") }
          isBroken = true
        }
      }
    }
  }

  private func tellLedger() {
    ledger.crashed(last: engine.recovery.log.nextSequence - 1)
  }

  /// The machine loses power: the process is gone, and the disk keeps what it must.
  func losePower() {
    endProcess()
    crashes += 1
    setNearBytes()
    disk = disk.crash(seed: random.next())
    if let medium { losePower(medium) }
    // Sooner or later in the next life, often while it recovers.
    if crashes < 4 { disk.setFault(.crash, atOperation: Int.random(in: 1...80, using: &random)) }
  }

  /// The process is asked to stop, ends, and starts again; power may fail in between.
  func stopAndStart(losesPower: Bool, between: (SimulatedStorage) -> Void = { _ in }) {
    guard machine != nil else { return }
    for consumer in consumers { broker.remove(consumer) }
    consumers = []
    turn()
    reviveIfCrashed()
    guard let machine, machine.broker.failure == nil, !disk.hasCrashed else { return }
    machine.engine.stop { while machine.turnLog() {} }
    if losesPower || disk.hasCrashed {
      losePower()
    } else {
      endProcess()
      crashes += 1
      setNearBytes()
      disk.restartProcess()
    }
    between(disk)
    start()
  }

  private func losePower(_ medium: LogMedium) {
    let isWorst = Bool.random(using: &random)
    medium.end(keeping: isWorst ? medium.durable : .random(in: medium.durable...medium.sent, using: &random))
  }

  /// Starts again after a failure, on a disk that works now; the machine may have lost power in between.
  func repair(losesPower: Bool) {
    endProcess()
    disk.clearFaults()
    if losesPower { disk = disk.crash(seed: random.next()) } else { disk.restartProcess() }
    if losesPower, let medium { losePower(medium) }
    isBroken = false
    start()
    expectsFailure = false
  }

  /// The process ends without another word.
  func endProcess() {
    unsettled = []
    consumers = []
    blocked = [:]
    acksOfTurn = []
    retries = []
    audit = nil
    machine?.io.abandon()
    machine = nil
  }

  // MARK: Turns

  /// Runs the whole script, then everything to its end. `between` is called before each turn.
  func run(between: (Int) -> Void = { _ in }) {
    start()
    for (number, turn) in script.turns.enumerated() where !isBroken {
      between(number)
      if isBroken || isStopped { return }
      time.nowNs += turn.passMs * TimeUnits.nsPerMs + Int64.random(in: 0..<400_000, using: &random)
      self.turn { for step in turn.steps { perform(step) } }
      background(turn.background)
      reviveIfCrashed()
    }
  }

  /// Whether the store has stopped by itself.
  var isStopped: Bool { machine?.broker.failure != nil && !disk.hasCrashed }

  func reviveIfCrashed() {
    if disk.hasCrashed {
      losePower()
      start()
    } else if let failure = machine?.broker.failure ?? machine?.engine.log.failure, !expectsFailure {
      ledger.complain("the store stopped: \(failure)")
      isBroken = true
    }
  }

  /// One turn of the loop.
  func turn(_ body: () -> Void = {}) {
    guard let machine else { return }
    let sequence = engine.turn(
      nowNs: time.nowNs, finished: machine.io.takeFinished, isWaitingForSpace: machine.io.isWaitingForSpace
    ) {
      effectsTaken = 0
      giveRetries()
      body()
      return true
    }
    for ack in acksOfTurn { note(.acked(ack.group, ack.offset), sequence) }
    acksOfTurn = []
    takeEffects(sequence)
    tell()
    if bug == nil { history.note(broker, disk) }
  }

  private var retries: [UInt64] = []
  private var effectsTaken = 0

  /// Notes the effects since the last call: after every command, so that facts stand in their true order.
  func takeEffects(_ sequence: Sequence) {
    while effectsTaken < broker.effects.count {
      effectsTaken += 1
      take(broker.effects[effectsTaken - 1], sequence)
    }
  }

  private func giveRetries() {
    let keys = retries
    retries = []
    for key in keys {
      guard let step = blocked.removeValue(forKey: key) else { continue }
      perform(step, connection: key)
    }
  }

  /// The other threads go on, in any order.
  func background(_ count: Int) {
    guard let machine else { return }
    var idle = 0
    for _ in 0..<count where idle < 12 && !disk.hasCrashed {
      let ran: Bool =
        switch Int.random(in: 0..<3, using: &random) {
        case 0: machine.io.runOne(lane: 0)
        case 1: machine.io.runOne(lane: 1)
        default: machine.turnLog()
        }
      idle = ran ? 0 : idle + 1
      if ran { tell() }
    }
  }

  // MARK: What clients hear

  /// Tells clients what is settled by now.
  func tell() {
    let settled = bug == .repliesDoNotWait ? Sequence.max : engine.log.settledSequence
    var waiting: [(sequence: Sequence, tell: (Simulation) -> Void)] = []
    for reply in unsettled {
      if reply.sequence <= settled { reply.tell(self) } else { waiting.append(reply) }
    }
    unsettled = waiting
  }

  /// Notes a fact that the client hears of when it is settled.
  func note(_ fact: Fact, _ sequence: Sequence) {
    let place = ledger.note(fact, sequence)
    unsettled.append((sequence, { $0.ledger.acknowledge(place) }))
  }

  private func take(_ effect: Effect, _ sequence: Sequence) {
    switch effect {
    case .deliver(let delivery): take(delivery, sequence)
    case .notice(.fetched(_, _, let deliveries)): for delivery in deliveries { take(delivery, sequence) }
    case .notice(.retry(let connection)): retries.append(connection)
    case .notice(.ended(let consumer)): consumers.removeAll { $0 === consumer }
    case .notice(.truncated), .notice(.heldCheck), .notice(.grown): break
    }
  }

  func take(_ delivery: Delivery, _ sequence: Sequence) {
    let record = delivery.record
    let topic = delivery.consumer.topic
    let offset = record.sequence
    guard let version = Version(String(decoding: record.body, as: UTF8.self)) else {
      return ledger.complain(
        "offset \(offset) of \(topic.name) has the body '\(String(decoding: record.body, as: UTF8.self))'")
    }
    let message = Ledger.Seen(
      id: String(decoding: record.id, as: UTF8.self), version: version, dueMs: record.dueMs, releasedMs: record.stampMs)
    if record.stampMs > time.nowMs { ledger.complain("offset \(offset) was released in the future") }
    if let audit, audit.consumer === delivery.consumer {
      self.audit?.log.append((offset, message))
      return
    }
    let number = topic.number
    let shown = delivery.waitsForItsEnd ? sequence : topic.restsOn
    unsettled.append((shown, { $0.ledger.see(number, offset, message) }))
    guard let group = delivery.consumer.group else { return }
    let key = GroupKey(topic: number, group: group.name)
    let place = ledger.note(.given(key, offset, version, attempt: delivery.attempt), sequence)
    // By this rule of the log a delivery that was shown has its record.
    if engine.log.deliveryRule == .afterOwnRecord { unsettled.append((shown, { $0.ledger.acknowledge(place) })) }
    drained?[key, default: []].insert(offset)
    checkOrder(group, key, record)
    let topicIndex = groupNames[key]?.topic ?? 0
    unsettled.append((shown, { $0.inHand.append((key, topicIndex, offset)) }))
  }

  /// One key, one message at a time.
  private var keysGiven: [GroupKey: [TopicOffset: String]] = [:]

  private func checkOrder(_ group: Group, _ key: GroupKey, _ record: MessageRecord) {
    guard group.name == "ordered" else { return }
    let orderingKey = String(decoding: record.key, as: UTF8.self)
    let offset = record.sequence
    // Also when there is none: a crash may have put another message at this offset.
    keysGiven[key, default: [:]][offset] = orderingKey
    if orderingKey.isEmpty { return }
    for (earlier, attempts) in ledger.attempts[key] ?? [:] where earlier < offset && attempts < Self.maxAttempts {
      guard keysGiven[key]?[earlier] == orderingKey, ledger.acked[key]?.contains(earlier) != true else { continue }
      if ledger.maybeAcked[key]?.contains(earlier) == true { continue }
      if acksOfTurn.contains(where: { $0.group == key && $0.offset == earlier }) { continue }
      ledger.complain("\(key) got offset \(offset) of key \(orderingKey) while \(earlier) was not finished")
    }
  }

  static let maxAttempts: UInt32 = 5
}
