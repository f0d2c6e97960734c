// The broker: a state machine that is told the time, commands and finished disk work, and answers with values, journal
// records and effects. No clock, no system call, no randomness inside.
//
// Holds: state = fold(records since the last checkpoint); every change of state stands in a record of the same turn, and a
// record's replay makes the same change. Messages leave in (due, sequence) order, and `watermark` says how far.
// Leaves to others: making records durable and showing nothing before (the server's loop), sockets, JSON.
//
// No exclusivity checks on what every message touches: one thread owns it, and the checks took 13 % of a burst's time.

import DataFiles
import DecisionLog
import DelayStore
import Primitives
import TimingWheel
import TopicLog

/// Something for the server to do after a turn, in this order.
public enum Effect {
  case deliver(Delivery)
  case notice(Notice)

  /// Whether it shows a message whose release is not settled at `sequence`.
  public func mustBeDurable(after sequence: Sequence) -> Bool {
    switch self {
    case .deliver(let delivery):
      return delivery.consumer.topic.appendSequence > sequence || delivery.waitsForItsEnd
    case .notice(.fetched(let consumer, _, let deliveries)):
      if deliveries.isEmpty { return false }
      return consumer.topic.appendSequence > sequence || deliveries.contains(where: \.waitsForItsEnd)
    case .notice: return false
    }
  }
}

/// What the internal timers are about.
struct TimerTarget: BitwiseCopyable {
  enum Kind: UInt8, BitwiseCopyable { case outstanding, fetch, sweep, held, idleQueue }
  var kind = Kind.sweep
  /// Group or consumer.
  var owner: UInt32 = 0
  /// Offset, fetch token or number of a held message.
  var value: UInt64 = 0
}

/// Numbers that only grow, since the start.
public struct BrokerCounters: Sendable {
  /// Messages accepted for later.
  public internal(set) var scheduled: UInt64 = 0
  /// Messages cancelled.
  public internal(set) var cancelled: UInt64 = 0
  /// Messages given another time.
  public internal(set) var rescheduled: UInt64 = 0
  /// Messages released into their topics.
  public internal(set) var released: UInt64 = 0
  /// Messages published without delay.
  public internal(set) var published: UInt64 = 0
  /// Deliveries, first ones.
  public internal(set) var delivered: UInt64 = 0
  /// Deliveries of a message that had been delivered before.
  public internal(set) var redelivered: UInt64 = 0
  /// Deliveries acknowledged.
  public internal(set) var acknowledged: UInt64 = 0
  /// Deliveries that a consumer refused.
  public internal(set) var refused: UInt64 = 0
  /// Messages moved to dead letters.
  public internal(set) var deadLettered: UInt64 = 0
  /// Milliseconds between due time and release of the messages of `released`, added up.
  public internal(set) var latenessMsSum: UInt64 = 0
}

/// The broker. One thread's own.
public final class Broker {
  /// The settings it was made with.
  public let settings: BrokerSettings
  /// Pending messages.
  public let store: DelayStore
  /// Where decisions are written; the shell takes the buffer away at the end of a turn and puts an empty one here.
  @exclusivity(unchecked) public var records: RecordBuffer
  /// What the shell is to do after this turn.
  @exclusivity(unchecked) public internal(set) var effects: [Effect] = []
  /// Numbers for people.
  @exclusivity(unchecked) public internal(set) var counters = BrokerCounters()
  /// Set when the store cannot be trusted any more: nothing changes from then on.
  public private(set) var failure: StorageError?
  /// Whether new messages are refused because the disk is nearly full.
  public var isDiskFull = false
  /// Service time of this turn, rounded down.
  @exclusivity(unchecked) public internal(set) var nowMs: UnixMs = 0
  @exclusivity(unchecked) var nowRoundedUpMs: UnixMs = 0

  let io: any IOQueue
  let hasher: SipHash128
  let cache: ChunkCache
  @exclusivity(unchecked) var wheel: TimingWheel
  @exclusivity(unchecked) var timers: TimingWheel
  @exclusivity(unchecked) var expired = ExpiredTimers()
  private var firedTimers: [(TimerID, TimerTarget)] = []
  let slab = PendingSlab()
  let slabOfTimer = PagedArray<UInt32>(filler: .max)
  let timerTargets = PagedArray(filler: TimerTarget())
  @exclusivity(unchecked) var dueQueue = DueQueue()
  /// Use `settled`.
  let settledTable: SettledIDs
  /// Use `bookLeft`.
  @exclusivity(unchecked) var left = Fifo<LeftMessage>(keptMax: LeftMessage.countMax)
  @exclusivity(unchecked) var watermark: (dueMs: UnixMs, sequence: Sequence) = (0, 0)
  var isReplaying = true
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
  /// What may still be delivered in this turn.
  @exclusivity(unchecked) var turnBytesLeft = 0
  /// Messages that may still go to dead letters in this turn.
  var burialsLeft = 0
  /// When retention is to be looked at; 0: in the first turn, which sees what a start has found.
  @exclusivity(unchecked) var nextRetentionMs: UnixMs = 0
  var obsoletePaths: [String] = []
  var obsoleteDirectories: [String] = []
  /// What was read from disk for the command of a connection that waits for it.
  @exclusivity(unchecked) var coldRecords: [UInt64: [ColdRecord]] = [:]
  @exclusivity(unchecked) var listings: [UInt64: Listing] = [:]

  /// Where the dead letters of queues go.
  public weak var deadLetterRouter: (any DeadLetterRouter)?
  /// What front ends keep here by name; changed by `putInCatalog` and `removeFromCatalog`.
  public internal(set) var catalog: [[UInt8]: [UInt8]] = [:]
  let queueWork = QueueWork()

  /// An empty broker; `recover` or `startEmpty` makes it ready.
  ///
  /// - Parameter hashKey: sixteen random bytes that belong to the log, and so are the same wherever its records are read.
  public init(settings: BrokerSettings, hashKey: StoreID, io: any IOQueue) {
    self.settings = settings
    self.io = io
    hasher = SipHash128(key0: hashKey.low, key1: hashKey.high)
    store = DelayStore(sliceMs: settings.sliceMs, hasher: hasher, io: io)
    cache = ChunkCache(bytesMax: settings.cacheBytes)
    settledTable = SettledIDs(windowMs: settings.idWindowMs, io: io)
    records = RecordBuffer()
    // Replay has a wheel of its own resolution: watermarks are whole milliseconds, whatever the tick is.
    wheel = TimingWheel(tickMs: 1, wheelSize: 512, startMs: 0)
    timers = TimingWheel(tickMs: 1, wheelSize: 512, startMs: 0)
    store.owner = self
  }

  // MARK: Turns

  /// Begins a turn at service time `nowNs`: releases what is due and fires what has run out. Pointers that the turn before
  /// gave are bad from here on.
  public func beginTurn(nowNs: Int64) {
    effects.removeAll(keepingCapacity: effects.capacity < 1 << 16)
    turnBytesLeft = settings.deliveryBytesPerTurn
    burialsLeft = settings.endingsPerTurn
    nowMs = max(nowMs, TimeUnits.msRoundedDown(ns: nowNs))
    nowRoundedUpMs = max(nowMs, TimeUnits.msRoundedUp(ns: nowNs))
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

  /// Stops everything: what is in memory may not be what is on disk.
  public func fail(_ error: StorageError) {
    if failure == nil { failure = error }
  }

  /// Refuses with `storageFailed` when nothing changes any more.
  public func requireWorking() throws(BrokerStop) {
    if let failure { throw .refuse(.storageFailed, "the store stopped after \(failure); restart the server") }
  }

  func requireSpace() throws(BrokerStop) {
    try requireWorking()
    if isDiskFull { throw .refuse(.diskFull, "the disk is nearly full; new messages are refused until there is space") }
  }

  // MARK: Internal timers

  func startTimer(dueMs: UnixMs, _ target: TimerTarget) -> TimerID {
    let timer = timers.insert(dueMs: dueMs)
    timerTargets.grow(to: Int(timer.index) + 1)
    timerTargets[timer.index] = target
    return timer
  }

  func stopTimer(_ timer: TimerID) {
    if timer != PendingSlab.noTimer { _ = timers.cancel(timer) }
  }

  private func fireTimers() {
    expired.removeAll()
    timers.advance(to: nowMs, into: &expired)
    guard expired.count > 0 else { return }
    // All targets first: what a timer starts may use the index of one that is still to be looked at.
    firedTimers.removeAll(keepingCapacity: true)
    for place in 0..<expired.count { firedTimers.append((expired[place].id, timerTargets[expired[place].id.index])) }
    for (timer, target) in firedTimers {
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
