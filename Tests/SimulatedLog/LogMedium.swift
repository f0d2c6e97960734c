// What a log in memory leaves behind when its process ends.
//
// Holds: records with dense sequences behind `released`; those up to `durable` stay whatever happens.
// Leaves to others: writing and settling (MemoryLog), when a process ends and what it takes along (the test).

import DecisionLog
import Primitives

/// The records of a log, for one process after the other.
public final class LogMedium: @unchecked Sendable {
  /// Which log it stands for.
  public enum Kind: CaseIterable, Sendable {
    /// A log of one machine: what is written outlives the process, and the folder's checkpoint knows who it is.
    case oneMachine
    /// A log of several machines: nothing counts as written before it is durable, what was on its way may or may not have
    /// arrived, and the log itself knows who it is.
    case severalMachines
  }

  struct Record {
    var kind: UInt8
    var payload: [UInt8]
  }

  /// Which log it stands for.
  public let kind: Kind
  let identity: LogIdentity
  /// Records up to here are gone.
  var released: Sequence = 0
  /// The record behind `released`, and those that follow.
  var records: [Record] = []
  /// Whether there has been a log on it.
  var hasBegun = false
  /// Records up to here outlive everything.
  public internal(set) var durable: Sequence = 0

  /// A medium without records.
  public init(_ kind: Kind, identity: LogIdentity) {
    self.kind = kind
    self.identity = identity
  }

  /// The last record that has been sent here; it may be lost when it is not durable.
  public var sent: Sequence { released + Sequence(records.count) }

  /// The same again.
  public func copy() -> LogMedium {
    let copy = LogMedium(kind, identity: identity)
    copy.released = released
    copy.records = records
    copy.hasBegun = hasBegun
    copy.durable = durable
    return copy
  }

  /// Ends the process, or the machine: the records up to `last` remain.
  public func end(keeping last: Sequence) {
    precondition(last >= durable && last <= sent, "what is durable stays, and nothing else comes into being")
    records.removeLast(Int(sent - last))
  }
}
