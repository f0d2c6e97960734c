// Values counted by size.
//
// Holds: every value is counted once, in the first bucket whose bound it does not exceed, or behind the last one.

/// How many values there were of which size.
public struct Histogram: Equatable, Sendable {
  /// The largest value of each bucket, ascending.
  public let bounds: [Int64]
  /// How many values each bucket has alone; one more for those above all bounds.
  public private(set) var counts: [UInt64]
  /// All values added up.
  public private(set) var sum: UInt64 = 0

  /// Nothing yet.
  ///
  /// - Precondition: the bounds ascend.
  public init(bounds: [Int64]) {
    precondition(zip(bounds, bounds.dropFirst()).allSatisfy { $0 < $1 }, "the bounds of a histogram ascend")
    self.bounds = bounds
    counts = Array(repeating: 0, count: bounds.count + 1)
  }

  /// 1, 2 and 5 times powers of ten, up to one minute in milliseconds.
  public static let ofMs = Histogram(bounds: [
    1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 60_000,
  ])

  /// From 50 µs to ten seconds in microseconds.
  public static let ofUs = Histogram(bounds: [
    50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000, 1_000_000, 10_000_000,
  ])

  /// Counts a value `times` times; a negative one as 0. O(buckets).
  public mutating func add(_ value: Int64, times: Int = 1) {
    let value = max(0, value)
    var place = 0
    while place < bounds.count, bounds[place] < value { place += 1 }
    counts[place] &+= UInt64(times)
    sum &+= UInt64(value) &* UInt64(times)
  }
}
