// How many things happened in each stretch of time.

/// Counts by time, from the moment it is made.
struct RateSeries: Encodable, Sendable {
  /// Length of a stretch.
  let intervalMs: Int
  /// When the first stretch began, ns on the caller's clock.
  private let startNs: Int64
  /// How many in each stretch.
  private(set) var counts: [Int] = []

  init(startNs: Int64, intervalMs: Int = 100) {
    self.startNs = startNs
    self.intervalMs = intervalMs
  }

  /// Counts `count` things that happened at `atNs`; what happened before the start is counted in the first stretch.
  mutating func add(_ count: Int, atNs: Int64) {
    let place = Int(max(0, atNs - startNs) / (Int64(intervalMs) * 1_000_000))
    // An hour: whoever runs longer sees the rest in the last stretch.
    let last = min(place, 3_600_000 / intervalMs)
    while counts.count <= last { counts.append(0) }
    counts[last] += count
  }

  /// A second's worth of each stretch. The last one is left out: it is not whole.
  var perSecond: [Double] {
    counts.dropLast(counts.count > 1 ? 1 : 0).map { Double($0) * 1000 / Double(intervalMs) }
  }

  enum CodingKeys: String, CodingKey { case intervalMs, counts }
}
