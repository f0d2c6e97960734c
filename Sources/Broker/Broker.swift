// The broker: a state machine that is told the time, commands and finished disk work, and answers with values, journal
// records and effects. No clock, no system call, no randomness inside.
//
// Holds: state = fold(decisions since the last checkpoint); every change of state is a decision in a record of the same turn,
// and a replay applies it as the command did (`Broker+Apply`).
// Leaves to others: making records durable and showing nothing before (the server's loop), sockets, JSON.
//
// The state is in rooms, which know each other only downward in the order of the properties; what spans rooms stands in
// extensions of the broker, in the folder of the room that it is most about.

import DataFiles
import DecisionLog
import Primitives

/// The broker. One thread's own.
public final class Broker {
  /// The settings it was made with.
  public let settings: BrokerSettings
  let hasher: SipHash128
  let turn = Turn()
  let timers = Timers()
  let topics: Topics
  let pending: Pending
  let coldReads: ColdReads
  let groups: Groups
  let queues: Queues
  let held: Held
  let committed = CommittedOffsets()
  /// What front ends keep here by name; changed by `putInCatalog` and `removeFromCatalog`.
  public let catalog = Catalog()

  /// An empty broker; `recover` or `start` makes it ready.
  ///
  /// - Parameter hashKey: sixteen random bytes that belong to the log, and so are the same wherever its records are read.
  public init(settings: BrokerSettings, hashKey: StoreID, io: any IOQueue) {
    self.settings = settings
    hasher = SipHash128(key0: hashKey.low, key1: hashKey.high)
    topics = Topics(settings, turn, hasher, io)
    pending = Pending(settings, turn, timers, topics, hasher, io)
    coldReads = ColdReads(turn, pending)
    groups = Groups(settings, turn, timers, topics, hasher)
    queues = Queues(settings, turn, timers, topics, groups, pending, hasher)
    held = Held(turn, timers)
  }

  // MARK: Turns

  /// Begins a turn at service time `nowNs`: releases due messages and fires internal timers. Pointers from the turn before
  /// are invalid from here on.
  public func beginTurn(nowNs: Int64) {
    turn.begin(nowNs: nowNs, settings)
    topics.evict()
    guard failure == nil else { return }
    pending.advance()
    queues.trim()
    releaseDue()
    fireTimers()
  }

  /// Releases everything that is due at `nowNs`, however much it is, reading from disk what it needs. Before the first turn:
  /// what was released before a crash may have been shown, and no command may find it pending. O(due).
  ///
  /// - Parameter drain: does the disk work that was submitted.
  public func releaseOverdue(nowNs: Int64, drain: () -> Void) {
    turn.begin(nowNs: nowNs, settings)
    while failure == nil {
      topics.evict()
      pending.advance()
      releaseDue()
      guard pending.isBehind else { return }
      drain()
    }
  }

  /// Ends a turn: releases what commands made due at once, and serves consumers. After this, take `records` and `effects`.
  public func endTurn() {
    guard failure == nil else { return }
    releaseDue()
    queues.endOverdue()
    queues.stopExpiries()
    topics.trimIfTime { topic in
      for group in topic.groups where !group.consumers.isEmpty { groups.markDirty(group) }
    }
    queues.enforceRules()
    groups.dispatch()
    queues.enforceRules()
    groups.recordEnds()
    if !pending.hasDue { pending.retire(limit: settings.releasesPerTurn) }
  }

  /// When the next turn has something to do even if nobody asks for anything; nil for never.
  public var nextWakeUpMs: UnixMs? {
    guard failure == nil else { return nil }
    if queues.hasWork || groups.hasWork { return nowMs }
    var next = topics.nextRetentionMs > 0 ? topics.nextRetentionMs : UnixMs.max
    for other in [pending.nextWakeUpMs, timers.nextWakeUpMs] { next = min(next, other ?? .max) }
    return next == .max ? nil : next
  }

  // MARK: Internal timers

  private func fireTimers() {
    for (timer, target) in timers.takeFired(nowMs: nowMs) {
      switch target.kind {
      case .outstanding: groups.outstandingTimerFired(group: target.owner, offset: target.value, timer)
      case .fetch: groups.fetchTimerFired(consumer: target.owner, token: target.value)
      case .sweep: pending.sweepTimerFired()
      case .held: heldTimerFired(target.value, timer)
      case .idleQueue: queues.idleTimerFired(group: target.owner, timer)
      }
    }
  }
}
