// One node of the cluster without threads and sockets: a shard over a disk and a connection, driven by hand.
//
// Holds: nothing happens by itself; a node that is paused or down does nothing.
// Leaves to others: when it does what (ClusterRun), what it may show (ClusterJudge).

import Broker
import Cluster
import DataFiles
import DecisionLog
import Engine
import Primitives
import ReplicatedStream
import SeededRandom
import SimulatedDisk
import SimulatedStream

/// The lanes of one life of an engine.
final class ManualLanes: ShardLanes {
  let manual: ManualIOQueue
  init(_ storage: any Storage) { manual = ManualIOQueue(storage: storage) }

  var queue: any IOQueue { manual }
  func takeFinished() -> [IOTask] { manual.takeFinished() }
  var isWaitingForSpace: Bool { manual.isWaitingForSpace }
  func abandon() { manual.abandon() }
}

/// A node.
final class SimulatedNode {
  /// Something that a client will be told when its gate is open.
  struct Waiting {
    let sequence: Sequence
    let epoch: UInt64
    let show: (ClusterRun) -> Void
  }

  static let beginMs: UnixMs = 1_700_000_000_000

  let name: String
  let stream: TrueStream
  var disk: SimulatedStorage
  var settings: EngineSettings
  private(set) var shard: Shard?
  private(set) var connection: SimulatedStream?
  /// By how much its clock is off.
  var clockOffsetNs: Int64 = 0
  /// It does nothing until then.
  var pausedUntilNs: Int64 = 0
  /// The epoch that it leads, as it believes.
  private(set) var epoch: UInt64?
  var waiting: [Waiting] = []
  /// How often it has asked for the folder of another node.
  var folderAttempts = 0
  /// When something of the folder came last.
  var folderHeardNs: Int64 = 0
  /// Whether it makes turns of its engine although it is giving the leadership away.
  var goesOnResigning = false
  /// Changes with each process and each leadership: what was in hand before is gone.
  private(set) var life = 0

  init(_ name: String, _ stream: TrueStream, settings: EngineSettings, seed: UInt64) {
    self.name = name
    self.stream = stream
    self.settings = settings
    disk = SimulatedStorage(seed: seed)
  }

  var world: SimulatedWorld { stream.world }
  var isRunning: Bool { shard != nil && world.nowNs >= pausedUntilNs }
  var serviceNs: Int64 { Self.beginMs * TimeUnits.nsPerMs + world.nowNs + clockOffsetNs }
  var engine: Engine? { shard?.engine }
  var isLeading: Bool { epoch != nil }

  /// Starts the process; gives why it cannot.
  func start() -> String? {
    let connection = stream.connect()
    self.connection = connection
    var log = ReplicatedLogSettings(node: name, address: "\(name):1")
    log.truncation.keptBytes = 20_000
    log.truncation.waitsNs = 4_000_000_000
    log.truncation.intervalNs = 500_000_000
    log.truncation.silentNs = 12_000_000_000
    log.waitingBytesMax = 4000
    log.leadership.settledNs = 1_500_000_000
    log.leadership.wordNsMax = 500_000_000
    log.leadership.noteNs = 1_000_000_000
    let world = world
    let offsetNs = clockOffsetNs
    let surroundings = ReplicatedLogSurroundings(
      clock: { world.nowNs },
      serviceMs: { Self.beginMs + (world.nowNs + offsetNs) / TimeUnits.nsPerMs },
      random: { StoreID(low: world.random.next(), high: world.random.next()) }, wake: {}, notify: {})
    let disk = disk
    do {
      shard = try Shard(
        connection, engine: settings, log: log,
        ShardSurroundings(storage: disk, openLanes: { ManualLanes(disk) }, log: surroundings))
    } catch {
      return "\(error)"
    }
    return nil
  }

  /// The process ends: one that follows at times as it is meant to, all others without another word.
  func kill(losesPower: Bool) {
    guard let shard else { return }
    if case .following = shard.state, world.isDrawn(oneIn: 3) { shard.engine?.stopFollowing() }
    connection?.close()
    shard.lanes?.abandon()
    self.shard = nil
    folderAttempts += 1
    forgetClients()
    if losesPower { disk = disk.crash(seed: world.random.next()) } else { disk.restartProcess() }
  }

  private func forgetClients() {
    waiting = []
    epoch = nil
    life += 1
  }

  /// One turn of the loop up to the commands; gives what has changed.
  func turnShard() -> Shard.Change? {
    guard let shard, let change = shard.turn(nowNs: serviceNs) else { return nil }
    forgetClients()
    if change == .began, case .leading(let epoch) = shard.log.status.role { self.epoch = epoch }
    // Deposed between its first turn and now.
    if change == .began, epoch == nil { epoch = shard.log.status.position.epoch }
    return change
  }

  private var lastApplied: Sequence = 0

  /// Whether the engine stands elsewhere than when this was asked last.
  func hasApplied(_ engine: Engine) -> Bool {
    defer { lastApplied = engine.broker.records.lastSequence }
    return lastApplied != engine.broker.records.lastSequence
  }

  /// Runs a task of a lane; false when there is none.
  func runLane(_ lane: Int) -> Bool { (shard?.lanes as? ManualLanes)?.manual.runOne(lane: lane) ?? false }
}
