// A report as JSON, to be kept and compared. Times are whole nanoseconds.

import Foundation

extension Report {
  /// The whole report, with keys in order.
  var json: String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    guard let data = try? encoder.encode(self) else { preconditionFailure("a report is made of values that JSON has") }
    return String(decoding: data, as: UTF8.self) + "\n"
  }
}

extension LatencyHistogram: Encodable {
  enum CodingKeys: String, CodingKey {
    case count, early
    case min = "minNs", p50 = "p50Ns", p90 = "p90Ns", p99 = "p99Ns", p999 = "p999Ns", max = "maxNs"
    case buckets = "bucketsNs"
  }

  /// Quantiles for whoever reads it, buckets as pairs of bound and count for whoever computes with it.
  func encode(to encoder: any Encoder) throws {
    var container = encoder.container(keyedBy: CodingKeys.self)
    try container.encode(count, forKey: .count)
    try container.encode(early, forKey: .early)
    try container.encode(min, forKey: .min)
    try container.encode(max, forKey: .max)
    for (key, share) in [(CodingKeys.p50, 0.5), (.p90, 0.9), (.p99, 0.99), (.p999, 0.999)] where count > 0 {
      try container.encode(quantile(share), forKey: key)
    }
    try container.encode(buckets.map { [$0.bound, Int64($0.count)] }, forKey: .buckets)
  }
}
