// Numbers about the broker for people.

import Primitives

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
  /// Milliseconds between due time and release of the messages of `released`.
  public internal(set) var latenessMs = Histogram.ofMs
}
