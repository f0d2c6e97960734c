// Seeds and random numbers for the tests of this module.
//
// Holds: the same seed gives the same run everywhere; the seed is the test's argument, so a failure names it.

import Testing

/// A small seeded generator (Steele, Lea, Flood 2014).
struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}

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
