// The first elements of an order beside sorting them all.

import Primitives
import Testing

@Suite("the first elements of an order")
struct SmallestTests {
  @Test("they are those that sorting puts first", arguments: [0, 1, 2, 3, 10, 200, 1000])
  func sameAsSorting(_ count: Int) {
    // Each number below a prime once, in an order of no sense; some of them twice.
    let numbers = (0..<503).map { $0 * 211 % 503 / 2 }
    #expect(numbers.smallest(count, by: <) == Array(numbers.sorted().prefix(count)))
    #expect([Int]().smallest(count, by: <) == [])
  }
}
