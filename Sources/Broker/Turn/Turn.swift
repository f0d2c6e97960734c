// The current turn: its time, the records and effects that it makes, and how much it may still do.
//
// Holds: time never goes back; after a failure nothing is recorded, since no command and no turn changes anything then.
// Leaves to others: what is decided (the commands), taking records and effects away (the engine, at the end of a turn).
//
// No exclusivity checks on what every message touches: one thread owns it, and the checks took 13 % of a burst's time.

import DecisionLog
import Primitives

/// The turn at hand.
final class Turn {
  /// Service time of this turn, rounded down; in replay, the time of the newest record that says one.
  @exclusivity(unchecked) private(set) var nowMs: UnixMs = 0
  /// Service time of this turn, rounded up: delays count from here.
  @exclusivity(unchecked) private(set) var nowRoundedUpMs: UnixMs = 0
  /// Where decisions are written.
  @exclusivity(unchecked) var records = RecordBuffer()
  /// What the server is to do after this turn.
  @exclusivity(unchecked) var effects: [Effect] = []
  /// Numbers for people.
  @exclusivity(unchecked) var counters = BrokerCounters()
  /// Set when the store cannot be trusted any more: nothing changes from then on.
  @exclusivity(unchecked) private(set) var failure: StorageError?
  /// Whether new messages are refused because the disk is nearly full.
  @exclusivity(unchecked) var isDiskFull = false
  /// Whether new messages are refused because the memory that was allowed is used up.
  @exclusivity(unchecked) var isMemoryFull = false
  /// Whether records are replayed, and no turn has begun yet.
  @exclusivity(unchecked) private(set) var isReplaying = true
  /// Bytes that may still be delivered in this turn.
  @exclusivity(unchecked) var deliveryBytesRemaining = 0
  /// Messages that may still be dead-lettered in this turn.
  @exclusivity(unchecked) var deadLettersRemaining = 0

  /// Whether more messages are due than could be released in this turn; they go before what consumers wait for.
  @exclusivity(unchecked) var isReleasing = false

  /// Begins a turn at service time `nowNs`.
  func begin(nowNs: Int64, _ settings: BrokerSettings) {
    effects.removeAll(keepingCapacity: effects.capacity < 1 << 16)
    deliveryBytesRemaining = settings.deliveryBytesPerTurn
    deadLettersRemaining = settings.endingsPerTurn
    nowMs = max(nowMs, TimeUnits.msRoundedDown(ns: nowNs))
    nowRoundedUpMs = max(nowMs, TimeUnits.msRoundedUp(ns: nowNs))
  }

  /// In replay: moves the time on to that of a record.
  func note(_ atMs: UnixMs) { nowMs = max(nowMs, atMs) }

  /// Restores the time of a checkpoint.
  func recover(nowMs: UnixMs) { self.nowMs = nowMs }

  /// Ends replay: turns may begin.
  func start(clockMs: UnixMs) {
    isReplaying = false
    nowMs = max(nowMs, clockMs)
    nowRoundedUpMs = nowMs
    effects.removeAll()
  }

  /// Writes a decision; gives it as a view of the bytes written, to be applied before the next one is written.
  @inline(__always) @discardableResult
  func write<Kind: Decision>(_ decision: Kind) -> Kind { records.write(decision) }

  /// The gate of an answer that rests on all that has been recorded until now.
  @inline(__always) var gate: Gate { Gate(records.lastSequence) }

  func notify(_ notice: Notice) { effects.append(.notice(notice)) }

  /// Stops everything: what is in memory may not be what is on disk.
  func fail(_ error: StorageError) {
    if failure == nil { failure = error }
  }

  /// Refuses with `storageFailed` when nothing changes any more.
  func requireWorking() throws(BrokerStop) {
    if let failure { throw .refuse(.storageFailed, "the store stopped after \(failure); restart the server") }
  }

  /// Refuses new messages when nothing changes any more, the disk is nearly full, or the memory that was allowed is used up.
  func requireSpace() throws(BrokerStop) {
    try requireWorking()
    if isDiskFull { throw .refuse(.diskFull, "the disk is nearly full; new messages are refused until there is space") }
    if isMemoryFull {
      throw .refuse(.busy, "the memory that the server may use is full; new messages are refused until there is room")
    }
  }
}
