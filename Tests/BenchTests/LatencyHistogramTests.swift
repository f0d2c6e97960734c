// The histogram of the benchmarks beside the simplest one there is: all values, sorted.

import SeededRandom
import Testing

@testable import bench

@Suite("latency histogram")
struct LatencyHistogramTests {
  @Test("quantiles are those of the sorted values, at most 0.8 % above", arguments: 1...20 as ClosedRange<UInt64>)
  func quantiles(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var histogram = LatencyHistogram()
    var values: [Int64] = []
    for _ in 0..<Int.random(in: 1...3000, using: &random) {
      // As many of each size, from early to an hour.
      let value = Int64.random(in: -2...1 << Int64.random(in: 1...42, using: &random), using: &random)
      values.append(value)
      histogram.record(value)
    }
    values.sort()
    #expect(histogram.count == values.count)
    #expect(histogram.min == values.first)
    #expect(histogram.max == values.last)
    #expect(histogram.early == values.count { $0 < 0 })
    for share in [0, 0.1, 0.5, 0.9, 0.99, 0.999, 1] {
      let rank = max(1, Int((share * Double(values.count)).rounded(.up)))
      let exact = values[rank - 1]
      let found = histogram.quantile(share)
      #expect(
        found >= exact && Double(found) <= max(0, Double(exact) * (1 + 1 / 128.0)), "\(share): \(found), not \(exact)")
    }
  }

  @Test("every value lies in a bucket whose largest value is not smaller, and the bucket before it ends below")
  func buckets() {
    for octave in 0..<63 {
      for value in [Int64(1) << octave, Int64(1) << octave + 1, .max >> octave] {
        let bucket = LatencyHistogram.bucket(of: value)
        #expect(LatencyHistogram.largest(in: bucket) >= value)
        #expect(bucket == 0 || LatencyHistogram.largest(in: bucket - 1) < value)
      }
    }
    #expect(LatencyHistogram.bucket(of: -5) == 0)
  }

  @Test("two halves added up are the whole", arguments: 1...5 as ClosedRange<UInt64>)
  func addition(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var halves = [LatencyHistogram(), LatencyHistogram()]
    var whole = LatencyHistogram()
    for _ in 0..<1000 {
      let value = Int64.random(in: -10...1_000_000, using: &random)
      halves[Int.random(in: 0...1, using: &random)].record(value)
      whole.record(value)
    }
    halves[0].add(halves[1])
    #expect(halves[0] == whole)
  }
}
