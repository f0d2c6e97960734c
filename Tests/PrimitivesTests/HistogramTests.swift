// Values counted by size.

import Primitives
import Testing

@Suite("histogram")
struct HistogramTests {
  @Test("a value is counted in the first bucket whose bound it does not exceed")
  func buckets() {
    var histogram = Histogram(bounds: [1, 5, 10])
    for value: Int64 in [-3, 0, 1, 2, 5, 6, 10, 11, .max / 2] { histogram.add(value) }
    #expect(histogram.counts == [3, 2, 2, 2])
  }

  @Test("the sum is that of all values, negative ones as 0, each as often as it was given")
  func sum() {
    var histogram = Histogram(bounds: [10])
    histogram.add(7, times: 3)
    histogram.add(-5, times: 100)
    histogram.add(20)
    #expect(histogram.sum == 41 && histogram.counts == [103, 1])
  }

  @Test("the bounds in use ascend", arguments: [Histogram.ofMs, .ofUs])
  func bounds(_ histogram: Histogram) {
    #expect(histogram.bounds == histogram.bounds.sorted() && histogram.counts.count == histogram.bounds.count + 1)
  }
}
