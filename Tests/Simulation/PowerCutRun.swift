// A process over a disk that loses power, and clients who remember what they were told: what runs of a front end share.
//
// Holds: everything is drawn from the seed; a client knows an outcome when its turn's journal sequence is settled.
// Leaves to others: what clients do and what must hold (its subclasses).

import Broker
import Engine
import Journal
import Primitives
import SimulatedDisk

/// A run with crashes on the way. Subclasses override the hooks.
class PowerCutRun {
  let seed: UInt64
  var random: SplitMix64
  let time = SimulatedTime(ms: 1_700_000_000_000)
  private(set) var disk: SimulatedStorage
  private(set) var machine: SimulatedMachine?
  var broker: Broker { machine!.broker }
  var complaints: [String] = []
  private var unsettled: [(sequence: Sequence, tell: () -> Void)] = []
  /// What the running broker held, for the next start to be compared with.
  private(set) var history = StateHistory()
  private var toldThisTurn: [() -> Void] = []
  /// The last record of the turn whose deliveries are received.
  private(set) var turnSequence: Sequence = 0

  required init(seed: UInt64, crashAt: Int?) {
    self.seed = seed
    random = SplitMix64(seed: seed)
    disk = SimulatedStorage(seed: seed)
    if let crashAt { disk.setFault(.crash, atOperation: crashAt) }
  }

  // MARK: Hooks

  /// Checkpoints are frequent, so that a short run has many.
  var checkpointBytes = 1500
  private var salvages = false
  /// When records are synced.
  var policy: SyncPolicy { .always }

  /// Small files, so that a short run has many.
  var settings: EngineSettings {
    var settings = EngineSettings()
    settings.broker.sliceMs = 1000
    settings.broker.segmentBytes = 600
    if seed % 3 == 0 { settings.broker.nearBytesMax = 1500 }
    settings.checkpointBytes = checkpointBytes
    settings.indexFileBytesMin = 0
    settings.salvages = salvages
    settings.minFreeBytes = 0
    settings.reserveBytes = 0
    return settings
  }

  /// The engine has opened its folder; no turn has been.
  func opened() {}
  /// The first turn of a process.
  func connect() throws {}
  /// One thing that a client does.
  func step() throws {}
  /// A delivery is on its way to a client.
  func received(_ delivery: Delivery) {}
  /// Power is gone, and with it what only memory had.
  func lostPower() {}
  /// At the end: judges what is there against what clients know.
  func reckon() {}

  // MARK: Life

  /// A run and its reckoning.
  static func judged(_ seed: UInt64, turns: Int, crashAt: Int? = nil) -> Self {
    let run = Self(seed: seed, crashAt: crashAt)
    run.run(turns: turns)
    run.reckon()
    return run
  }

  /// How many operations of the disk a run has at which it could crash.
  static func operations(_ seed: UInt64, turns: Int) -> Int {
    let run = Self(seed: seed, crashAt: nil)
    run.run(turns: turns)
    return run.disk.operations
  }

  func run(turns: Int) {
    start()
    for _ in 0..<turns where complaints.isEmpty {
      time.nowNs += Int64.random(in: 0...300, using: &random) * TimeUnits.nsPerMs
      turn { for _ in 0..<Int.random(in: 0...3, using: &random) { try self.step() } }
    }
  }

  /// Lets time pass without faults: `turns` turns of `ms` each, with all disk work done, or `tasks` of it a turn.
  func rest(turns: Int, ms: Int64, tasks: Int = 200) {
    disk.clearFaults()
    for _ in 0..<turns where machine != nil {
      time.nowNs += ms * TimeUnits.nsPerMs
      turn()
      background(tasks)
    }
  }

  /// Stops or kills the process and starts another one; the disk is the caller's in between.
  func restart(cleanly: Bool, salvaging: Bool, between: (SimulatedStorage) -> Void = { _ in }) {
    if cleanly, let machine { machine.engine.stop { while machine.turnLog() {} } }
    machine?.io.abandon()
    machine = nil
    unsettled = []
    toldThisTurn = []
    disk.restartProcess()
    between(disk)
    salvages = salvaging
    lostPower()
    start()
  }

  private func start() {
    while machine == nil {
      do {
        machine = try SimulatedMachine(disk: disk, settings: settings, time: time, seed: seed, policy: policy)
      } catch {
        guard disk.hasCrashed else { return complaints.append("the folder does not open: \(error)") }
        losePower()
      }
    }
    if let machine { complaints += history.differences(machine, disk) }
    opened()
    turn { try self.connect() }
  }

  /// Power fails between two turns, and comes back.
  func cutPower() {
    losePower()
    start()
  }

  private func losePower() {
    machine?.io.abandon()
    machine = nil
    unsettled = []
    toldThisTurn = []
    disk = disk.crash(seed: random.next())
    lostPower()
  }

  func turn(_ body: () throws -> Void = {}) {
    guard let machine else { return }
    let last = machine.engine.turn(
      nowNs: time.nowNs, finished: machine.io.takeFinished, isWaitingForSpace: machine.io.isWaitingForSpace
    ) {
      do { try body() } catch { complaints.append("refused: \(error)") }
      return true
    }
    unsettled += toldThisTurn.map { (last, $0) }
    toldThisTurn = []
    turnSequence = last
    for effect in broker.effects {
      if case .deliver(let delivery) = effect { received(delivery) }
    }
    history.note(broker, disk)
    background(Int.random(in: 0...8, using: &random))
  }

  private func background(_ count: Int) {
    guard let machine else { return }
    for _ in 0..<count where !disk.hasCrashed {
      switch Int.random(in: 0..<3, using: &random) {
      case 0: machine.io.runOne(lane: 0)
      case 1: machine.io.runOne(lane: 1)
      default: machine.turnLog()
      }
    }
    let settled = machine.engine.log.settledSequence
    for one in unsettled where one.sequence <= settled { one.tell() }
    unsettled.removeAll { $0.sequence <= settled }
    if disk.hasCrashed {
      losePower()
      start()
    } else if let failure = broker.failure {
      complaints.append("the store stopped: \(failure)")
    }
  }

  /// Runs when everything of this turn is settled: a client is told.
  func tell(_ body: @escaping () -> Void) { toldThisTurn.append(body) }

  /// Runs when this record is settled.
  func tell(behind sequence: Sequence, _ body: @escaping () -> Void) { unsettled.append((sequence, body)) }
}
