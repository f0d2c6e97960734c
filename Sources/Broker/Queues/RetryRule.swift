// How long a delivery of a queue that came to nothing waits before it is made again.

import Primitives

/// How a delivery came to nothing.
public enum GiveBack: Sendable {
  /// Its consumer has refused it.
  case refused
  /// Its consumer wants to have it again.
  case recovered
  /// Its consumer is gone, or was too slow.
  case abandoned
}

/// The rule by which a queue delays what comes back: so much for each delivery that there was, up to a bound.
public struct RetryRule: Sendable {
  /// What has come back in these ways waits; everything else is delivered again at once.
  public var ways: Set<GiveBack>
  /// After the first delivery, in ms; at least 1.
  public var delayMsMin: Int64
  /// The longest, in ms.
  public var delayMsMax: Int64

  /// Puts a rule together.
  public init(ways: Set<GiveBack>, delayMsMin: Int64, delayMsMax: Int64) {
    self.ways = ways
    self.delayMsMin = delayMsMin
    self.delayMsMax = delayMsMax
  }

  /// How long a message waits that was delivered so often and has come back in this way; nil: not at all.
  func delayMs(_ way: GiveBack, attempts: UInt32) -> Int64? {
    guard ways.contains(way) else { return nil }
    let (delayMs, isTooMuch) = delayMsMin.multipliedReportingOverflow(by: Int64(attempts))
    return isTooMuch ? delayMsMax : min(delayMs, delayMsMax)
  }
}
