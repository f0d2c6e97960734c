// The broker with its journal, its checkpoints and its disk space: everything of the server that is not a socket. The
// simulator runs this same code.
//
// Holds: a turn's records are submitted before anything of the turn is shown; a checkpoint is written only when its records
// are; nothing that a durable checkpoint names is removed.
// Leaves to others: threads, waiting, clocks (whoever makes it), what to show when (`settledSequence` says).

import Broker
import DataFiles
import Journal
import Primitives

/// Settings of the engine beyond the broker's.
public struct EngineSettings: Sendable {
  /// The broker's.
  public var broker = BrokerSettings()
  /// When records are synced.
  public var policy = SyncPolicy.always
  /// A journal segment's size.
  public var segmentBytes = SegmentWriter.segmentBytesDefault
  /// A checkpoint is taken when the journal has grown by this much.
  public var checkpointBytes = 128 << 20
  /// New messages are refused when the disk has less than this left.
  public var minFreeBytes = 64 << 20
  /// Bytes set aside in a file of their own, given up when the disk is full so that what is promised can still be written.
  public var reserveBytes = 16 << 20
  /// Leave damaged ranges of the journal out instead of refusing to start.
  public var salvages = false

  /// The defaults.
  public init() {}
}

/// Numbers about the engine.
public struct EngineCounters: Sendable {
  /// Checkpoints made durable since the start.
  public internal(set) var checkpoints = 0
  /// Bytes given to the journal since the start.
  public internal(set) var journalBytes = 0
}

/// A broker over a storage.
public final class Engine {
  /// The broker.
  public let broker: Broker
  /// The journal's group commit.
  public let commit: GroupCommit
  /// Numbers for people.
  public private(set) var counters = EngineCounters()
  /// What the start found.
  public let recovery: RecoverySummary

  let storage: any Storage
  let io: any IOQueue
  let settings: EngineSettings
  private let store: StoreID
  private let hashKey: StoreID
  private var bytesSinceCheckpoint = 0
  private var lastCheckpointMs: UnixMs = 0
  private var waitingCheckpoint: CheckpointPlan?
  private var isCheckpointing = false
  /// Whether a checkpoint waits for messages in memory to be written out, some in each turn.
  private var isPreparing = false
  private var space: SpaceWatch

  init(
    broker: Broker, commit: GroupCommit, storage: any Storage, io: any IOQueue, settings: EngineSettings,
    store: StoreID,
    hashKey: StoreID, recovery: RecoverySummary
  ) {
    self.broker = broker
    self.commit = commit
    self.storage = storage
    self.io = io
    self.settings = settings
    self.store = store
    self.hashKey = hashKey
    self.recovery = recovery
    space = SpaceWatch(minFreeBytes: settings.minFreeBytes, reserveBytes: settings.reserveBytes)
    broker.records = commit.takeBuffer()
    // A journal with holes stands in the way of every start until a checkpoint has made it unnecessary.
    bytesSinceCheckpoint = recovery.journal.lost.isEmpty ? recovery.journal.bytes : settings.checkpointBytes
  }

  // MARK: Turns

  /// Begins a turn at service time `nowNs`.
  func beginTurn(nowNs: Int64) {
    if let failure = commit.failure { broker.fail(failure) }
    broker.beginTurn(nowNs: nowNs)
  }

  /// Ends a turn: effects are ready, records are on their way to the disk.
  ///
  /// - Parameter mustSync: whether a reply of this turn promises durability.
  /// - Returns: the sequence that must be settled before anything of this turn may be shown.
  func endTurn(mustSync: Bool) -> Sequence {
    broker.endTurn()
    space.watch(self)
    let records = broker.records
    let last = records.lastSequence
    guard broker.failure == nil else { return last }
    let mustSync = mustSync || broker.effects.contains { $0.gate(last: last).sequence > commit.settledSequence }
    if !records.isEmpty {
      bytesSinceCheckpoint += records.byteCount
      counters.journalBytes += records.byteCount
    }
    isPreparing = wantsCheckpoint
    if isPreparing, broker.prepareCheckpoint() || isCheckpointUrgent { planCheckpoint() }
    if !records.isEmpty {
      commit.submit(records, mustSync: mustSync || waitingCheckpoint != nil)
      broker.records = commit.takeBuffer()
    } else if mustSync, last > commit.settledSequence {
      commit.requestSync()
    }
    beginCheckpointIfWritten()
    return last
  }

  /// Takes back a finished task. Runs on the loop, between `beginTurn` and `endTurn`.
  func finish(_ task: IOTask) {
    guard broker.failure == nil else { return }
    guard let failure = task.failure else { return task.finished() }
    if !task.canIgnoreFailure() { broker.fail(failure) }
  }

  /// When the next turn has something to do by itself, in Unix ms of service time; nil for never.
  public var nextWakeUpMs: UnixMs? {
    if isPreparing, broker.failure == nil { return broker.nowMs }
    guard broker.isDiskFull else { return broker.nextWakeUpMs }
    let lookMs = broker.nowMs + SpaceWatch.intervalMs
    return min(lookMs, broker.nextWakeUpMs ?? .max)
  }

  /// Whether so much is on its way to the disk that commands should wait.
  public func isBackedUp(_ inFlightBytesMax: Int) -> Bool { commit.inFlightBytes > inFlightBytesMax }

  // MARK: Checkpoints

  private var wantsCheckpoint: Bool {
    guard !isCheckpointing, broker.isReadyForCheckpoint else { return false }
    if bytesSinceCheckpoint >= checkpointBytes { return true }
    // On a full disk a checkpoint is also the way to get the space of slices that have been released.
    let isRested = broker.nowMs >= lastCheckpointMs + SpaceWatch.intervalMs
    return broker.isDiskFull && isRested && broker.hasObsoleteFiles
  }

  /// On a nearly full disk the journal lives on the segments that checkpoints give back, instead of on the last free space:
  /// a quarter of a segment is soon enough for the one before the current one to be free when the current one is full.
  private var checkpointBytes: Int {
    let isShort = broker.isDiskFull || commit.isSpaceLow
    return isShort ? min(settings.checkpointBytes, settings.segmentBytes / 4) : settings.checkpointBytes
  }

  /// Whether it is better to hold up the loop than to wait any longer: for space, or because messages come faster than they
  /// are written out.
  private var isCheckpointUrgent: Bool {
    broker.isDiskFull || commit.isSpaceLow || bytesSinceCheckpoint >= 2 * settings.checkpointBytes
  }

  private func planCheckpoint() {
    isCheckpointing = true
    isPreparing = false
    lastCheckpointMs = broker.nowMs
    bytesSinceCheckpoint = 0
    waitingCheckpoint = broker.checkpoint()
  }

  private func beginCheckpointIfWritten() {
    guard let plan = waitingCheckpoint, commit.writtenSequence >= plan.sequence else { return }
    waitingCheckpoint = nil
    let file = CheckpointFile(
      store: store, hashKey: hashKey, sliceMs: broker.settings.sliceMs, sequence: plan.sequence, state: plan.state[...])
    let task = CheckpointTask(file, unsynced: plan.unsynced) { [unowned self] in
      isCheckpointing = false
      counters.checkpoints += 1
      commit.release(upTo: plan.sequence)
      if !plan.removals.isEmpty || !plan.emptyDirectories.isEmpty {
        io.submit(CloseTask(paths: plan.removals), .read)
        io.submit(RemoveTask(paths: plan.removals, directories: plan.emptyDirectories), .write)
      }
    }
    io.submit(task, .write)
  }

  /// Takes a checkpoint for a clean stop. `waitForJournal` must return when the journal has written what was submitted.
  public func stop(waitForJournal: () -> Void) {
    guard broker.failure == nil else { return }
    while !broker.isReadyForCheckpoint || isCheckpointing {
      _ = endTurn(mustSync: true)
      waitForJournal()
      drain()
      if broker.failure != nil { return }
      if isCheckpointing { continue }
      beginTurn(nowNs: broker.nowMs * TimeUnits.nsPerMs)
      broker.endTurn()
    }
    planCheckpoint()
    _ = endTurn(mustSync: true)
    waitForJournal()
    beginCheckpointIfWritten()
    drain()
  }

  private func drain() {
    if let failure = io.drain() { broker.fail(failure) }
  }
}
