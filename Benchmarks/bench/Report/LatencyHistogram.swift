// A high-dynamic-range histogram of times: buckets as wide as a 128th of their value, so that a nanosecond and an hour are
// counted alike and a quantile is never wrong by more than 0.8 %.
//
// Holds: every value is counted once; count, smallest and largest are exact; what came early (below zero) is counted apart and
// lies in the lowest bucket.
// Source: Gil Tene's HdrHistogram; log-linear buckets.

/// How many values there were of which size, 58 KiB whatever their number.
struct LatencyHistogram: Equatable, Sendable {
  /// Buckets of an octave are 2 to this power.
  private static let precisionBits = 7
  private static let bucketCount = (63 - precisionBits + 1) << precisionBits

  private var counts = [Int](repeating: 0, count: bucketCount)
  /// Values recorded.
  private(set) var count = 0
  /// Values below zero.
  private(set) var early = 0
  /// The smallest value, 0 when there is none.
  private(set) var min: Int64 = 0
  /// The largest value, 0 when there is none.
  private(set) var max: Int64 = 0

  /// Counts `value`, in ns. O(1).
  mutating func record(_ value: Int64) {
    counts[Self.bucket(of: value)] += 1
    min = count == 0 ? value : Swift.min(min, value)
    max = count == 0 ? value : Swift.max(max, value)
    count += 1
    if value < 0 { early += 1 }
  }

  /// Counts what `other` has counted, too.
  mutating func add(_ other: LatencyHistogram) {
    guard other.count > 0 else { return }
    for (place, number) in other.counts.enumerated() { counts[place] += number }
    min = count == 0 ? other.min : Swift.min(min, other.min)
    max = count == 0 ? other.max : Swift.max(max, other.max)
    count += other.count
    early += other.early
  }

  /// The smallest bound that at least `share` of the values do not exceed; exact for 0 and 1. O(buckets).
  func quantile(_ share: Double) -> Int64 {
    precondition(count > 0, "quantiles need values")
    let rank = (share * Double(count)).rounded(.up)
    if rank < 1 { return min }
    if rank >= Double(count) { return max }
    var below = 0
    for (bound, number) in buckets {
      below += number
      if Double(below) >= rank { return Swift.max(min, Swift.min(max, bound)) }
    }
    preconditionFailure("every value lies in a bucket")
  }

  /// The buckets that are not empty, ascending: the largest value that belongs there, and how many do.
  var buckets: [(bound: Int64, count: Int)] {
    counts.enumerated().filter { $0.element > 0 }.map { (Self.largest(in: $0.offset), $0.element) }
  }

  static func bucket(of value: Int64) -> Int {
    guard value > 0 else { return 0 }
    let octave = 63 - value.leadingZeroBitCount
    let shift = Swift.max(0, octave - precisionBits)
    return shift << precisionBits + Int(value >> Int64(shift))
  }

  static func largest(in bucket: Int) -> Int64 {
    let shift = Swift.max(0, bucket >> precisionBits - 1)
    let leading = UInt64(bucket - shift << precisionBits)
    return Int64((leading + 1) << UInt64(shift) - 1)
  }
}
