// How often a simulated stream does what a stream may do.

/// Each one time in so many; 0: never.
public struct StreamFaults: Sendable {
  /// How long an append usually takes to arrive, at most.
  public var delayNsMax: Int64 = 600_000
  /// An append arrives long after it was sent, often after its caller has given up.
  public var lateAppends = 0
  /// An append never arrives.
  public var lostAppends = 0
  /// An answer never comes.
  public var lostAnswers = 0
  /// An entry of the tail never comes.
  public var lostTails = 0
  /// An entry of the tail comes late, and so out of order.
  public var lateTails = 0
  /// An entry of the tail comes twice.
  public var doubledTails = 0
  /// A read is answered by a machine that is behind.
  public var staleReads = 0
  /// The question for the end is answered by a machine that leads no more.
  public var staleEnds = 0
  /// After an append nobody leads the stream for up to 20 s.
  public var lostLeaders = 0

  /// None.
  public init() {}

  /// All of them, often.
  public static let all: StreamFaults = {
    var faults = StreamFaults()
    faults.delayNsMax = 8_000_000
    faults.lateAppends = 400
    faults.lostAppends = 600
    faults.lostAnswers = 300
    faults.lostTails = 12
    faults.lateTails = 12
    faults.doubledTails = 12
    faults.staleReads = 4
    faults.staleEnds = 20
    faults.lostLeaders = 2000
    return faults
  }()
}
