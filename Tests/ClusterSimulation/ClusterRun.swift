// A run of the cluster: nodes, clients, faults, one seeded scheduler; and the judgement.
//
// Holds: everything is drawn from the seed. Between any two calls of a node the others may do anything, and it may be paused,
// killed or cut off: also between deciding something and showing it.
// Leaves to others: what clients ask (ClusterRun+Clients), which faults there are (ClusterRun+Faults), the end (ClusterRun+End).

import Broker
import Cluster
import Engine
import Primitives
import ReplicatedStream
import SeededRandom
import SimulatedDisk
import SimulatedStream

/// A simulation of a cluster.
final class ClusterRun {
  static let topics = ["orders", "mails"]

  let seed: UInt64
  let world: SimulatedWorld
  let stream: TrueStream
  var nodes: [SimulatedNode] = []
  var truth = TrueHistory()
  var ledger = ClusterLedger()
  var texts: [String: UnsafeMutableRawBufferPointer] = [:]
  var nextID = 0
  var nextConnection: UInt64 = 10
  var inHand: [(node: String, life: Int, topic: Int, offset: TopicOffset)] = []
  /// What a leader held at the end of a turn, by its epoch and its last record.
  private var digests: [String: (nowMs: UnixMs, lines: [String])] = [:]
  private(set) var comparisons = 0
  /// Which node, in which life, showed what follows from a record.
  private var shownBy: [Sequence: String] = [:]
  private(set) var takeovers = 0
  var faultsDone: [String: Int] = [:]
  var nextFaultNs: Int64 = 1_000_000_000
  /// Whether nothing strikes but operators who take the leadership from a busy node.
  var seizesOnly = false
  /// Folders that were copied from another node.
  var copies = 0
  /// Takes deliveries that are the judge's own.
  var reading: ((Delivery) -> Bool)?

  private let settings: EngineSettings

  init(seed: UInt64, nodes count: Int = 3) {
    self.seed = seed
    world = SimulatedWorld(seed: seed)
    stream = TrueStream(world, .all)
    var settings = EngineSettings()
    settings.broker.sliceMs = 1000
    settings.broker.segmentBytes = 600
    settings.broker.cacheBytes = 4096
    settings.broker.releasesPerTurn = 5
    settings.broker.deliveriesPerTurn = 5
    settings.broker.copiesPerTurn = 3
    settings.broker.idWindowMs = 30_000
    settings.broker.retentionMsDefault = .max
    settings.checkpointBytes = [2000, 6000, 20_000][Int(seed % 3)]
    settings.minFreeBytes = 0
    settings.reserveBytes = 0
    self.settings = settings
    for _ in 0..<count { _ = addNode() }
    stream.onStored = { [unowned self] sequence, bytes in truth.stored(sequence, bytes) }
  }

  deinit { for text in texts.values { text.deallocate() } }

  /// One more node, with an empty folder.
  func addNode() -> SimulatedNode {
    let node = SimulatedNode("node\(nodes.count)", stream, settings: settings, seed: world.random.next())
    drawClock(node)
    nodes.append(node)
    return node
  }

  func drawClock(_ node: SimulatedNode) {
    let limitNs: Int64 = world.isDrawn(oneIn: 4) ? 2_000_000_000 : 200_000_000
    node.clockOffsetNs = world.draw(-limitNs...limitNs)
  }

  var complaints: [String] { truth.complaints + ledger.complaints }

  /// What has happened, for people.
  var summary: String {
    let fold = truth.fold
    return "seed \(seed): entries \(fold.validCount) valid, \(fold.voidCount) void, \(truth.epoch) epochs; "
      + "\(ledger.accepted) accepted, \(ledger.shown) shown, \(ledger.delivered) delivered; \(comparisons) digests compared; "
      + "\(takeovers) takeovers, \(copies) folders copied, \(stream.first - 1) entries truncated, "
      + "\(stream.storedTooLate) stored too late, \(stream.refused) refused; \(faultsDone)"
  }

  // MARK: The scheduler

  /// Runs for so long, with faults, then brings everything to its end.
  func run(seconds: Int64) {
    for node in nodes { start(node) }
    while world.nowNs < seconds * 1_000_000_000, complaints.isEmpty { step(hasFaults: true) }
    if complaints.isEmpty { reckon() }
  }

  func start(_ node: SimulatedNode) {
    guard node.shard == nil else { return }
    if let reason = node.start() { ledger.complain("\(node.name) does not start: \(reason)") }
  }

  func step(hasFaults: Bool) {
    let jumpNs = world.draw(world.isDrawn(oneIn: 20) ? 1_000_000...30_000_000 : 20_000...900_000)
    world.advance(to: world.nowNs + jumpNs)
    if hasFaults, world.nowNs >= nextFaultNs { strike() }
    tellCheckpoints()
    for _ in 0..<6 {
      guard let node = nodes.randomElement(using: &world.random), node.isRunning else { continue }
      act(node)
    }
  }

  private func act(_ node: SimulatedNode) {
    switch Int.random(in: 0..<8, using: &world.random) {
    case 0, 1, 2: turnLog(node)
    case 3, 4: turnLoop(node)
    case 5: tell(node)
    case 6: _ = node.runLane(world.isDrawn(oneIn: 3) ? 2 : 0)
    default: _ = node.runLane(1)
    }
  }

  /// Turns of a node's log until it wants to wait.
  func turnLog(_ node: SimulatedNode) {
    guard let log = node.shard?.log else { return }
    for _ in 0..<100 where log.turn() != .now { return }
    ledger.complain("the log of \(node.name) does not come to rest")
  }

  /// A turn of a node's loop; effects wait for their gates.
  func turnLoop(_ node: SimulatedNode, commands: Bool = true) {
    switch node.turnShard() {
    case .began:
      takeovers += 1
      subscribe(node)
    case .stopped: stopped(node)
    case .needsFolder: needsFolder(node)
    case .deposed, nil: break
    }
    if let shard = node.shard, let engine = shard.engine, engine.broker.failure == nil {
      if case .following = shard.state, node.hasApplied(engine) { compare(engine) }
      guard case .leading = shard.state else { return }
      if !shard.isResigning || node.goesOnResigning { turnEngine(node, shard, engine, commands: commands) }
      move(node)
    }
  }

  private func turnEngine(_ node: SimulatedNode, _ shard: Shard, _ engine: Engine, commands: Bool) {
    guard let lanes = shard.lanes else { return }
    let before = engine.broker.records.nextSequence
    let last = engine.turn(
      nowNs: node.serviceNs, finished: lanes.takeFinished, isWaitingForSpace: lanes.isWaitingForSpace
    ) {
      if commands { command(node, engine) }
      return true
    }
    takeEffects(node, engine, last)
    guard let failure = engine.broker.failure else { return note(node, engine, last, isNew: last >= before) }
    // A log that has ended stops its engine; anything else is a fault.
    if shard.log.failure == nil { ledger.complain("\(node.name) stopped: \(failure)") }
  }

  // MARK: State

  private func note(_ node: SimulatedNode, _ engine: Engine, _ last: Sequence, isNew: Bool) {
    // A digest takes as long as a hundred turns.
    guard isNew, let epoch = node.epoch, world.isDrawn(oneIn: 16) else { return }
    engine.broker.checkInvariants()
    digests["\(epoch)/\(last)"] = (engine.broker.nowMs, engine.broker.digest(asOf: engine.broker.nowMs))
  }

  /// A follower that stands at the end of a leader's turn holds what the leader held.
  func compare(_ engine: Engine) {
    let applied = engine.broker.records.nextSequence - 1
    for epoch in (max(1, truth.epoch, 6) - 5)...max(1, truth.epoch) {
      guard let leader = digests["\(epoch)/\(applied)"], truth.holds(applied, ofEpoch: epoch) else { continue }
      comparisons += 1
      let here = engine.broker.digest(asOf: leader.nowMs)
      if here != leader.lines {
        let before = Set(leader.lines)
        let after = Set(here)
        let differences = (leader.lines.filter { !after.contains($0) } + ["—"] + here.filter { !before.contains($0) })
        ledger.complain("at \(epoch)/\(applied) a follower differs: \(differences.prefix(6))")
      }
    }
  }

  // MARK: Showing

  /// Tells clients what may be told now.
  func tell(_ node: SimulatedNode) {
    guard let log = node.shard?.log, log.mayShow else { return }
    let settled = log.settledSequence
    let open = node.waiting.filter { $0.sequence <= settled }
    node.waiting.removeAll { $0.sequence <= settled }
    for effect in open {
      judgeShown(node, effect)
      effect.show(self)
    }
  }

  private func judgeShown(_ node: SimulatedNode, _ effect: SimulatedNode.Waiting) {
    ledger.noteShown()
    if !truth.holds(effect.sequence, ofEpoch: effect.epoch) {
      ledger.complain("\(node.name) showed record \(effect.sequence) of epoch \(effect.epoch), which is not in the log")
    }
    if truth.epoch != effect.epoch, !hasSeized(since: effect.epoch) {
      ledger.complain("\(node.name) showed something of epoch \(effect.epoch) in epoch \(truth.epoch)")
    }
  }

  /// A delivery was shown, by the gate of its own record.
  func judgeDelivery(_ node: SimulatedNode, _ sequence: Sequence) {
    let who = "\(node.name)/\(node.life)"
    if let before = shownBy[sequence], before != who {
      ledger.complain("\(before) and \(who) both showed deliveries of record \(sequence)")
    }
    shownBy[sequence] = who
  }

  /// Epochs that somebody has ended although the leader was well.
  var endedByForce: Set<UInt64> = []
  private func hasSeized(since epoch: UInt64) -> Bool { endedByForce.contains { $0 >= epoch } }
}
