// The broker with its log, its checkpoints and its disk space: everything of the server that is not a socket. The simulator
// runs this same code.
//
// Holds: a turn's records are submitted before anything of the turn is shown; a checkpoint is written only when its records
// are, and put in place only when they are durable; nothing that a durable checkpoint names is removed.
// Leaves to others: threads, waiting, clocks (whoever makes it), what to show when (`settledSequence` says).

import Broker
import DataFiles
import DecisionLog
import DelayStore
import Primitives

/// Settings of the engine beyond the broker's.
public struct EngineSettings: Sendable {
  /// The broker's.
  public var broker = BrokerSettings()
  /// A checkpoint is taken when the log has grown by this much.
  public var checkpointBytes = 128 << 20
  /// New messages are refused when the disk has less than this left.
  public var minFreeBytes = 64 << 20
  /// Bytes set aside in a file of their own, given up when the disk is full so that what is promised can still be written.
  public var reserveBytes = 16 << 20
  /// A clean stop writes the index file if so many bytes of messages are far. A start reads less than that in some hundredths of a
  /// second, and checks every record of it.
  public var indexFileBytesMin = 64 << 20
  /// Leave damaged ranges of the log out instead of refusing to start.
  public var salvages = false

  /// The defaults.
  public init() {}
}

/// Numbers about the engine.
public struct EngineCounters: Sendable {
  /// Checkpoints made durable since the start.
  public internal(set) var checkpoints = 0
  /// Bytes given to the log since the start.
  public internal(set) var logBytes = 0
  /// Free bytes of the disk at the last look, which is a second old while anything is written; 0 before the first.
  public internal(set) var freeDiskBytes = 0
}

/// A broker over a storage.
public final class Engine {
  /// The broker.
  public let broker: Broker
  /// The log of its decisions.
  public let log: any DecisionLog
  /// Numbers for people.
  public internal(set) var counters = EngineCounters()
  /// What the start found.
  public internal(set) var recovery: RecoverySummary
  /// The settled sequence when this turn began. Decisions about single messages use it, so as not to ask the log each time.
  public private(set) var settledAtTurnStart: Sequence

  let storage: any Storage
  let io: any IOQueue
  let settings: EngineSettings
  /// Whether a turn has begun.
  private var hasTurned = false
  private var inFlightBytes = 0
  private var bytesSinceCheckpoint = 0
  private var lastCheckpointMs: UnixMs = 0
  private var waitingCheckpoint: CheckpointPlan?
  /// A snapshot that waits for the next checkpoint to begin.
  private var wantedSnapshot: SnapshotTask?
  /// A snapshot that copies, or whose checkpoint is on its way.
  private var snapshot: SnapshotTask?
  /// Files that checkpoints do not name any more, and that a snapshot may still be copying.
  private var heldRemovals: [(paths: [String], directories: [String])] = []
  private var isCheckpointing = false
  /// The checkpoint that is in place, when none was planned since; nil before the first since the start.
  private var checkpointInPlace: IndexStamp?
  /// Whether there may be an index file, of an older checkpoint.
  private var mayHaveIndexFile = true
  /// Whether a checkpoint waits for messages in memory to be written out, some in each turn.
  private var isPreparing = false
  var space: SpaceWatch

  init(
    broker: Broker, log: any DecisionLog, storage: any Storage, io: any IOQueue, settings: EngineSettings,
    recovery: RecoverySummary
  ) {
    self.broker = broker
    self.log = log
    self.storage = storage
    self.io = io
    self.settings = settings
    self.recovery = recovery
    settledAtTurnStart = log.settledSequence
    space = SpaceWatch(minFreeBytes: settings.minFreeBytes, reserveBytes: settings.reserveBytes)
    // A damaged log would be refused by every later start, so a checkpoint soon makes it unnecessary.
    bytesSinceCheckpoint = recovery.log.lost.isEmpty ? recovery.log.bytes : settings.checkpointBytes
  }

  /// Turns may begin: what was recovered is settled.
  func noteBegun() { settledAtTurnStart = log.settledSequence }

  // MARK: Turns

  /// Begins a turn at service time `nowNs`.
  func beginTurn(nowNs: Int64) {
    if let failure = log.failure { broker.fail(failure) }
    settledAtTurnStart = log.settledSequence
    inFlightBytes = log.inFlightBytes
    if !hasTurned {
      hasTurned = true
      broker.releaseOverdue(nowNs: nowNs, drain: drain)
    }
    broker.beginTurn(nowNs: nowNs)
  }

  /// Ends a turn: effects are ready, records are on their way to the disk.
  ///
  /// - Parameter mustSync: whether a reply of this turn promises durability.
  /// - Returns: the sequence that must be settled before anything of this turn may be shown.
  func endTurn(mustSync: Bool) -> Sequence {
    broker.endTurn()
    space.watch(self)
    return submit(mustSync: mustSync)
  }

  /// Hands over the records of the turn.
  private func submit(mustSync: Bool) -> Sequence {
    let records = broker.records
    let last = records.lastSequence
    guard broker.failure == nil else { return last }
    let settled = log.settledSequence
    let mustSync = mustSync || broker.effects.contains { $0.gate(last: last).sequence > settled }
    if !records.isEmpty { noteLog(bytes: records.byteCount) }
    planCheckpointIfDue()
    if !records.isEmpty {
      log.submit(records, mustSync: mustSync || waitingCheckpoint != nil)
      broker.records = log.takeBuffer()
      inFlightBytes = log.inFlightBytes
    } else if mustSync, last > settled {
      log.requestSync()
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

  /// Whether the next turn has a part of a checkpoint to prepare.
  public var isPreparingCheckpoint: Bool { isPreparing && broker.failure == nil }

  /// Whether so much was on its way to the disk, at the begin or the end of a turn, that commands should wait.
  public func isBackedUp(_ inFlightBytesMax: Int) -> Bool { inFlightBytes > inFlightBytesMax }

  // MARK: Checkpoints

  /// So many bytes of records have been added to the log, by this node or by another one.
  func noteLog(bytes: Int) {
    bytesSinceCheckpoint += bytes
    counters.logBytes += bytes
  }

  /// Prepares a checkpoint, or plans it, when one is wanted.
  func planCheckpointIfDue() {
    if broker.isDiskFull { snapshot?.abandon() }
    isPreparing = wantsCheckpoint
    if isPreparing, broker.prepareCheckpoint() || isCheckpointUrgent { planCheckpoint() }
  }

  private var wantsCheckpoint: Bool {
    guard !isCheckpointing, broker.isReadyForCheckpoint else { return false }
    if wantedSnapshot != nil { return true }
    if bytesSinceCheckpoint >= checkpointBytes { return true }
    // On a full disk, a checkpoint also frees slices whose messages have been released.
    let isRested = broker.nowMs >= lastCheckpointMs + SpaceWatch.intervalMs
    return broker.isDiskFull && isRested && broker.hasObsoleteFiles
  }

  /// On a nearly full disk the log must live on the space that checkpoints give back, not on the last free space. With a
  /// checkpoint for each quarter of a segment, the segment before the current one is free when the current one is full.
  private var checkpointBytes: Int {
    let isShort = broker.isDiskFull || log.isSpaceLow
    return isShort ? min(settings.checkpointBytes, log.releaseGrainBytes / 4) : settings.checkpointBytes
  }

  /// Whether the checkpoint must be finished in this turn, even if that holds up the loop: it is needed for space, or
  /// messages come faster than they are copied.
  private var isCheckpointUrgent: Bool {
    broker.isDiskFull || log.isSpaceLow || bytesSinceCheckpoint >= 2 * settings.checkpointBytes
  }

  private func planCheckpoint() {
    isCheckpointing = true
    isPreparing = false
    checkpointInPlace = nil
    lastCheckpointMs = broker.nowMs
    bytesSinceCheckpoint = 0
    waitingCheckpoint = broker.checkpoint()
    if let wantedSnapshot {
      snapshot = wantedSnapshot
      self.wantedSnapshot = nil
    }
  }

  /// Begins the checkpoint that was planned, when the log has its records.
  func beginCheckpointIfWritten() {
    guard let plan = waitingCheckpoint, log.writtenSequence >= plan.sequence else { return }
    waitingCheckpoint = nil
    let file = CheckpointFile(
      identity: log.identity, sliceMs: broker.settings.sliceMs, sequence: plan.sequence, state: plan.state[...],
      mark: log.mark(at: plan.sequence))
    let task = CheckpointTask(file, unsynced: plan.unsynced, log: log) { [unowned self] stamp in
      isCheckpointing = false
      checkpointInPlace = stamp
      if mayHaveIndexFile { io.submit(RemoveTask(paths: [IndexFile.path]), .write) }
      mayHaveIndexFile = false
      counters.checkpoints += 1
      log.release(upTo: plan.sequence)
      if !plan.removals.isEmpty || !plan.emptyDirectories.isEmpty {
        heldRemovals.append((plan.removals, plan.emptyDirectories))
      }
      if let snapshot, snapshot.file == nil {
        snapshot.file = file
        io.submit(snapshot, .copy)
      }
      removeHeld()
    }
    io.submit(task, .write)
  }

  /// Removes what checkpoints do not name any more, unless a snapshot is being made of one that does.
  private func removeHeld() {
    guard snapshot == nil else { return }
    for held in heldRemovals {
      io.submit(CloseTask(paths: held.paths), .read)
      io.submit(RemoveTask(paths: held.paths, directories: held.directories), .write)
    }
    heldRemovals = []
  }

  // MARK: Snapshots

  /// Makes a snapshot of all that has been submitted to the log by the end of this turn, beside everything else: a checkpoint,
  /// then a copy of its files. What the data folder would give back meanwhile it keeps until the copy is made. `done` is called
  /// on the loop. Given up when the engine stops, and when the disk is nearly full.
  ///
  /// - Returns: false, and `done` is not called, while another one is being made.
  public func makeSnapshot(
    _ target: SnapshotTarget, done: @escaping (Result<SnapshotSummary, StorageError>) -> Void
  ) -> Bool {
    guard snapshot == nil, wantedSnapshot == nil else { return false }
    wantedSnapshot = SnapshotTask(target, log: log) { [unowned self] result in
      snapshot = nil
      removeHeld()
      done(result)
    }
    return true
  }

  /// Gives up a snapshot that is being made: who waits for the disk work to end need not wait for all of it.
  public func abandonSnapshot() {
    wantedSnapshot = nil
    snapshot?.abandon()
  }

  /// Takes a checkpoint for a clean stop. `waitForLog` must return when the log has written what was submitted.
  public func stop(waitForLog: () -> Void) {
    guard broker.failure == nil else { return }
    abandonSnapshot()
    while !broker.isReadyForCheckpoint || isCheckpointing {
      _ = endTurn(mustSync: true)
      waitForLog()
      drain()
      if broker.failure != nil { return }
      if isCheckpointing { continue }
      beginTurn(nowNs: broker.nowMs * TimeUnits.nsPerMs)
      broker.endTurn()
    }
    // What the end of a turn changes without a record belongs into the checkpoint.
    broker.endTurn()
    planCheckpoint()
    _ = submit(mustSync: true)
    waitForLog()
    beginCheckpointIfWritten()
    drain()
    writeIndexFile()
  }

  /// Takes a checkpoint of all that was applied, for a node that stops while it follows: its folder has all that it knows then,
  /// also when the log should be lost, and its next start has less to read. Waits for the disk.
  public func stopFollowing() {
    guard broker.failure == nil else { return }
    abandonSnapshot()
    drain()
    guard broker.failure == nil, broker.isReadyForCheckpoint, !isCheckpointing, bytesSinceCheckpoint > 0 else { return }
    planCheckpoint()
    beginCheckpointIfWritten()
    drain()
    writeIndexFile()
  }

  /// Spares the next start the reading of what is far, if the last checkpoint says how everything is. Nothing depends on it, so a
  /// failure costs that time and no more.
  private func writeIndexFile() {
    guard broker.failure == nil, let stamp = checkpointInPlace, stamp.sequence == broker.records.lastSequence else {
      return
    }
    // The next start must not find the disk full of this.
    let bytesMax = (storage.freeBytes() - settings.minFreeBytes) / 2
    do throws(StorageError) {
      try broker.writeIndexFile(
        stamp, sliceBytesMin: settings.indexFileBytesMin, bytesMax: bytesMax, storage: storage)
    } catch {
      try? storage.remove(IndexFile.path)
    }
  }

  private func drain() {
    if let failure = io.drain() { broker.fail(failure) }
  }
}
