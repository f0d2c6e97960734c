// The one time line of the service: Unix time that never goes back. Pure logic; the caller brings the readings.
//
// Holds: `now` never decreases. Between readings it advances as the boot-time clock does (which counts suspended time and
// is never set), and is drawn towards the wall clock:
//   - a difference up to `stepMs` is slewed at 500 ppm, so 1 s takes 2000 s and no timer notices;
//   - a wall clock further ahead is followed at once and counted;
//   - a wall clock further behind is waited out: service time stands still until the wall clock has caught up, counted once.
// Leaves to others: reading the clocks (Platform), telling people about steps, rounding to milliseconds (TimeUnits).
// Source: the slew rate is the kernel's own limit in adjtime(3).

/// Service time from readings of the boot-time clock and the wall clock. Each call is O(1).
public struct ServiceClock: Sendable {
  /// One nanosecond of correction for so many nanoseconds of passed time: 500 ppm.
  public static let slewDivisor: Int64 = 2000

  /// Service time of the last reading, Unix ns.
  public private(set) var serviceNs: Int64
  /// Times the wall clock was found more than a step ahead and followed.
  public private(set) var forwardSteps = 0
  /// Times the wall clock was found more than a step behind and waited for.
  public private(set) var backwardSteps = 0
  /// Whether service time stands still until the wall clock catches up.
  public private(set) var isWaiting = false
  /// How far service time was ahead of the wall clock at the start, because of `notBeforeMs`; 0 when it was not.
  public let aheadAtStartNs: Int64

  private var lastBootNs: Int64
  private var slewCreditNs: Int64 = 0
  private let stepNs: Int64

  /// Starts at the later one of the wall clock and `notBeforeMs` (the release watermark).
  ///
  /// - Parameters:
  ///   - bootNs: reading of the boot-time clock.
  ///   - wallNs: reading of the wall clock at the same moment, Unix ns.
  ///   - notBeforeMs: service time that has been reached before; 0 for none. Beyond the year 2262 it is cut to that.
  ///   - stepMs: the largest difference that is slewed; at least 0.
  public init(bootNs: Int64, wallNs: Int64, notBeforeMs: UnixMs, stepMs: Int64 = 1000) {
    serviceNs = max(wallNs, Self.saturatingNs(ms: notBeforeMs))
    aheadAtStartNs = serviceNs &- wallNs
    lastBootNs = bootNs
    stepNs = Self.saturatingNs(ms: max(0, stepMs))
    if serviceNs &- wallNs > stepNs { waitForWall() }
  }

  /// Service time in Unix ns at these readings; never less than before.
  public mutating func now(bootNs: Int64, wallNs: Int64) -> Int64 {
    let passedNs = max(0, bootNs &- lastBootNs)
    lastBootNs = max(lastBootNs, bootNs)
    if isWaiting {
      guard wallNs >= serviceNs else { return serviceNs }
      isWaiting = false
      if wallNs &- serviceNs > passedNs &+ stepNs { forwardSteps += 1 }
      serviceNs = wallNs
      return serviceNs
    }
    let steadyNs = serviceNs &+ passedNs
    let aheadNs = wallNs &- steadyNs
    if aheadNs > stepNs {
      forwardSteps += 1
      serviceNs = wallNs
    } else if aheadNs < -stepNs {
      waitForWall()
    } else {
      serviceNs = steadyNs &+ slewedNs(towards: aheadNs, passedNs: passedNs)
    }
    return serviceNs
  }

  private mutating func waitForWall() {
    isWaiting = true
    backwardSteps += 1
  }

  /// The correction due for `passedNs`; what is less than a nanosecond is kept for the next call.
  private mutating func slewedNs(towards aheadNs: Int64, passedNs: Int64) -> Int64 {
    slewCreditNs &+= passedNs
    let allowedNs = slewCreditNs / Self.slewDivisor
    slewCreditNs %= Self.slewDivisor
    return aheadNs >= 0 ? min(aheadNs, allowedNs) : max(aheadNs, -allowedNs)
  }

  private static func saturatingNs(ms: Int64) -> Int64 {
    let (ns, overflow) = ms.multipliedReportingOverflow(by: TimeUnits.nsPerMs)
    return overflow ? (ms < 0 ? 0 : .max) : ns
  }
}
