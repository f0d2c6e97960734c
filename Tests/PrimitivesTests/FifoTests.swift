// The queue against an array.

import Primitives
import Testing

@Suite("fifo")
struct FifoTests {
  @Test("gives what was put in, in order, however full it was between", arguments: [10, 3000, 200_000])
  func model(waves: Int) {
    var queue = Fifo<Int>(keptMax: 16)
    var next = 0
    var expected = 0
    // Fills more than it empties, then the other way round, over the border where it moves its elements down.
    for (fill, empty) in [(3, 1), (1, 2), (2, 1), (1, 3)] {
      for _ in 0..<waves / 4 {
        for _ in 0..<fill {
          queue.append(next)
          next += 1
        }
        for _ in 0..<min(empty, queue.count) {
          let ahead = queue.ahead(0)
          if expected % 7 == 0 { queue.putBack(queue.removeFirst()) }
          let first = queue.removeFirst()
          if first != expected || ahead != expected { Issue.record("\(first) instead of \(expected)") }
          expected += 1
        }
      }
      #expect(queue.count == next - expected)
      #expect(queue.ahead(queue.count) == nil)
      #expect(queue.isEmpty || queue.ahead(queue.count - 1) == next - 1)
    }
  }
}
