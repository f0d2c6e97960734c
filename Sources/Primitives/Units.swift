// The quantities of the system, each a type of its own so that they cannot be mixed up.
//
// Holds: fixed width, so that memory and disk agree.
// Leaves to others: where the values come from (the clock, the journal, the topic log).

/// A point of service time in Unix milliseconds.
public typealias UnixMs = Int64

/// The number of a record in the journal; 1 is the first one, 0 means "none". Grows by exactly one a record.
public typealias Sequence = UInt64

/// The number of a message in its topic: 0, 1, 2, …, dense, never reused.
public typealias TopicOffset = UInt64

/// Conversions between nanoseconds and milliseconds, in one place so that rounding can never make anything early.
public enum TimeUnits {
  /// Nanoseconds in one millisecond.
  public static let nsPerMs: Int64 = 1_000_000

  /// The last whole millisecond at or before `ns`: what may be released by then. Works for negative times too.
  @inlinable public static func msRoundedDown(ns: Int64) -> UnixMs {
    let quotient = ns / nsPerMs
    return ns % nsPerMs < 0 ? quotient - 1 : quotient
  }

  /// The first whole millisecond at or after `ns`: what a delay counted from `ns` is added to.
  @inlinable public static func msRoundedUp(ns: Int64) -> UnixMs {
    let quotient = ns / nsPerMs
    return ns % nsPerMs > 0 ? quotient + 1 : quotient
  }
}
