// What the rooms and the outside see of the turn at hand.

import DecisionLog
import Primitives

extension Broker {
  /// Service time of this turn, rounded down.
  public var nowMs: UnixMs { turn.nowMs }
  var nowRoundedUpMs: UnixMs { turn.nowRoundedUpMs }

  /// Where decisions are written; the engine takes the buffer at the end of a turn and puts an empty one here.
  public var records: RecordBuffer {
    get { turn.records }
    set { turn.records = newValue }
  }

  /// What the server is to do after this turn.
  public var effects: [Effect] { turn.effects }

  /// Numbers for people.
  public var counters: BrokerCounters { turn.counters }

  /// Set when the store cannot be trusted any more: nothing changes from then on.
  public var failure: StorageError? { turn.failure }

  /// Whether new messages are refused because the disk is nearly full.
  public var isDiskFull: Bool {
    get { turn.isDiskFull }
    set { turn.isDiskFull = newValue }
  }

  /// Whether new messages are refused because the memory that was allowed is used up.
  public var isMemoryFull: Bool {
    get { turn.isMemoryFull }
    set { turn.isMemoryFull = newValue }
  }

  /// Whether new messages are refused until there is space on disk, or room in memory.
  public var refusesMessages: Bool { isDiskFull || isMemoryFull }

  /// Stops everything: what is in memory may not be what is on disk.
  public func fail(_ error: StorageError) { turn.fail(error) }

  /// Refuses with `storageFailed` when nothing changes any more.
  public func requireWorking() throws(BrokerStop) { try turn.requireWorking() }

  /// Refuses what would add messages while there is no space or room for them.
  public func requireSpace() throws(BrokerStop) { try turn.requireSpace() }

  /// The gate of an answer that rests on all that has been recorded until now.
  public var gate: Gate { turn.gate }

  func answer<Value>(_ value: Value) -> Answer<Value> { Answer(value, gate: turn.gate) }
}
