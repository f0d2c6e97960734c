// Gates: which record must be settled before something may be shown; and answers, which carry a gate.
//
// Holds: every record that an answer follows from has a sequence at or below the answer's gate.
// Leaves to others: keeping the bytes of an answer until its gate is settled (`Output` of the server's connections).

import Primitives

/// The journal sequence that must be settled before an answer or a delivery may be shown.
public struct Gate: Comparable, BitwiseCopyable, Sendable {
  /// The last record that must be settled.
  public let sequence: Sequence

  /// A gate that opens when the record `sequence` is settled.
  @inlinable public init(_ sequence: Sequence) { self.sequence = sequence }

  /// Waits for nothing.
  public static let open = Gate(0)
  /// Waits for everything that the current turn records, also for what it records at its end, such as acknowledgements.
  public static let endOfTurn = Gate(.max)

  /// The gate that opens later is the greater one.
  @inlinable public static func < (left: Gate, right: Gate) -> Bool { left.sequence < right.sequence }
}

/// The result of a command, and what its answer must wait for.
public struct Answer<Value> {
  /// The result.
  public let value: Value
  /// What must be settled before the result may be shown.
  public let gate: Gate

  /// Puts the two together.
  @inlinable public init(_ value: Value, gate: Gate) {
    self.value = value
    self.gate = gate
  }
}
