// Seeds for the tests of this module, each with the shape of the wheel that it drives.

import Testing

/// A wheel's shape and the seed of a run with it.
struct Shape: CustomTestStringConvertible, Sendable {
  let wheelSize: Int
  let tickMs: Int64
  let seed: UInt64

  var testDescription: String { "wheelSize \(wheelSize), tickMs \(tickMs), seed \(seed)" }

  /// Every combination of the sizes and ticks that differ in code path, each with `seeds` seeds.
  static func all(seeds: UInt64) -> [Shape] {
    [2, 3, 20, 64, 512].flatMap { size in
      [1, 10].flatMap { tick in (1...seeds).map { Shape(wheelSize: size, tickMs: tick, seed: $0) } }
    }
  }
}
