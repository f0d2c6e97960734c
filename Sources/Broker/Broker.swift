// The broker: a state machine that is told the time, commands and finished disk work, and answers with values, journal
// records and effects. No clock, no system call, no randomness inside.
//
// Holds: state = fold(records since the last checkpoint); every change of state stands in a record of the same turn, and a
// record's replay makes the same change. Messages leave in (due, sequence) order, and `watermark` says how far.
// Leaves to others: making records durable and showing nothing before (the server's loop), sockets, JSON.
//
// No exclusivity checks on what every message touches: one thread owns it, and the checks took 13 % of a burst's time.

import DataFiles
import DelayStore
import Journal
import Primitives
import TimingWheel
import TopicLog

/// The broker. One thread's own.
public final class Broker {
  /// The settings it was made with.
  public let settings: BrokerSettings
  let turn = Turn()
  let timers = Timers()
  /// What front ends keep here by name; changed by `putInCatalog` and `removeFromCatalog`.
  public let catalog = Catalog()
  /// Pending messages.
  public let store: DelayStore
  let io: any IOQueue
  let hasher: SipHash128
  let cache: ChunkCache
  @exclusivity(unchecked) var wheel: TimingWheel
  @exclusivity(unchecked) var expired = ExpiredTimers()
  let slab = PendingSlab()
  let slabOfTimer = PagedArray<UInt32>(filler: .max)
  @exclusivity(unchecked) var dueQueue = DueQueue()
  /// Use `settled`.
  let settledTable: SettledIDs
  /// Use `bookLeft`.
  @exclusivity(unchecked) var left = Fifo<LeftMessage>(keptMax: LeftMessage.countMax)
  @exclusivity(unchecked) var watermark: (dueMs: UnixMs, sequence: Sequence) = (0, 0)
  var isSweeping = false

  @exclusivity(unchecked) var topics: [UInt32: Topic] = [:]
  @exclusivity(unchecked) var topicsByName: [IDHash: Topic] = [:]
  @exclusivity(unchecked) var lastTopic: Topic?
  @exclusivity(unchecked) var lastReleased: Topic?
  var held: [HeldNumber: HeldMessage] = [:]
  var heldBytes = 0
  var nextTopic: UInt32 = 1
  @exclusivity(unchecked) var groups: [Group?] = []
  var groupCount = 0
  @exclusivity(unchecked) var consumers: [Consumer?] = []
  var freeConsumers: [UInt32] = []
  @exclusivity(unchecked) var dirtyGroups: [Group] = []
  @exclusivity(unchecked) var groupsWithAcks: [Group] = []
  @exclusivity(unchecked) var dirtyTails: [Topic] = []
  /// When retention is to be looked at; 0: in the first turn, which sees what a start has found.
  @exclusivity(unchecked) var nextRetentionMs: UnixMs = 0
  var obsoletePaths: [String] = []
  var obsoleteDirectories: [String] = []
  /// What was read from disk for the command of a connection that waits for it.
  @exclusivity(unchecked) var coldRecords: [UInt64: [ColdRecord]] = [:]
  @exclusivity(unchecked) var listings: [UInt64: Listing] = [:]

  /// Where the dead letters of queues go.
  public weak var deadLetterRouter: (any DeadLetterRouter)?
  let queueWork = QueueWork()

  /// An empty broker; `recover` or `startEmpty` makes it ready.
  ///
  /// - Parameter hashKey: sixteen random bytes that belong to the data folder.
  public init(settings: BrokerSettings, hashKey: StoreID, io: any IOQueue) {
    self.settings = settings
    self.io = io
    hasher = SipHash128(key0: hashKey.low, key1: hashKey.high)
    store = DelayStore(sliceMs: settings.sliceMs, hasher: hasher, io: io)
    cache = ChunkCache(bytesMax: settings.cacheBytes)
    settledTable = SettledIDs(windowMs: settings.idWindowMs, io: io)
    // Replay has a wheel of its own resolution: watermarks are whole milliseconds, whatever the tick is.
    wheel = TimingWheel(tickMs: 1, wheelSize: 512, startMs: 0)
    store.owner = self
  }

  // MARK: Turns

  /// Begins a turn at service time `nowNs`: releases what is due and fires what has run out. Pointers that the turn before
  /// gave are bad from here on.
  public func beginTurn(nowNs: Int64) {
    turn.begin(nowNs: nowNs, settings)
    cache.evict()
    guard failure == nil else { return }
    store.advance(nowMs: nowMs)
    trimQueues()
    releaseDue()
    fireTimers()
  }

  /// Ends a turn: releases what commands made due at once, and serves consumers. After this, take `records` and `effects`.
  public func endTurn() {
    guard failure == nil else { return }
    releaseDue()
    endOverdue()
    if !queueWork.leftMarkers.isEmpty { stopLeftExpiries() }
    trimIfTime()
    settleQueues()
    dispatch()
    settleQueues()
    recordAcks()
    if dueQueue.isEmpty { bookLeft(limit: settings.releasesPerTurn) }
  }

  /// When the next turn has something to do even if nobody asks for anything; nil for never.
  public var nextWakeUpMs: UnixMs? {
    guard failure == nil else { return nil }
    if queueWork.hasOverdue && !queueWork.isStalled || !queueWork.leftMarkers.isEmpty { return nowMs }
    if !dueQueue.isEmpty || !dirtyGroups.isEmpty || !dirtyTails.isEmpty || !left.isEmpty { return nowMs }
    var next = nextRetentionMs > 0 ? nextRetentionMs : UnixMs.max
    for other in [wheel.nextWakeUpMs, timers.nextWakeUpMs, store.nextWakeUpMs] { next = min(next, other ?? .max) }
    return next == .max ? nil : next
  }

  // MARK: Internal timers

  func startTimer(dueMs: UnixMs, _ target: TimerTarget) -> TimerID { timers.start(dueMs: dueMs, target) }

  func stopTimer(_ timer: TimerID) { timers.stop(timer) }

  private func fireTimers() {
    for (timer, target) in timers.takeFired(nowMs: nowMs) {
      switch target.kind {
      case .outstanding: outstandingTimerFired(group: target.owner, offset: target.value, timer)
      case .fetch: fetchTimerFired(consumer: target.owner, token: target.value)
      case .sweep: sweepSettled()
      case .held: heldTimerFired(target.value, timer)
      case .idleQueue: idleTimerFired(group: target.owner, timer)
      }
    }
  }

  /// Keeps the sweep of settled ids going while there are any: an idle server without them never wakes.
  func sweepSettled() {
    settledTable.sweep(nowMs: nowMs)
    isSweeping = settledTable.count > 0
    if isSweeping { _ = startTimer(dueMs: nowMs + sweepIntervalMs, TimerTarget(kind: .sweep)) }
  }

  private var sweepIntervalMs: Int64 { max(100, settings.idWindowMs / SettledIDs.sweepsPerWindow) }

  func settle(_ hash: IDHash, _ fate: Settled.Fate, atMs: UnixMs) {
    settledTable.set(hash, Settled(atMs: atMs, fate: fate))
    if !isSweeping, !isReplaying, settledTable.count > 0 { startSweeping() }
  }

  func startSweeping() {
    isSweeping = true
    _ = startTimer(dueMs: nowMs + sweepIntervalMs, TimerTarget(kind: .sweep))
  }
}
