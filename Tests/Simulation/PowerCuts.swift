// Losses of power at all operations of a run, or at some of a longer one: what the suites of a front end share.
//
// Holds: a failure names the operation, and how to run it again.

import SimulatedDisk
import TestSeeds
import Testing

extension PowerCutRun {
  /// Judges a run without faults.
  static func expectCalm(_ seed: UInt64, turns: Int, _ test: String) {
    #expect(judged(seed, turns: turns).complaints == [], Seeds.replay(seed, test))
  }

  /// Judges a run for each operation of the disk, which loses power there; up to the first that breaks a promise.
  static func expectCutsEverywhere(_ seed: UInt64, turns: Int, _ test: String) {
    for operation in 1...operations(seed, turns: turns) {
      let run = judged(seed, turns: turns, crashAt: operation)
      #expect(run.complaints == [], "operation \(operation): \(Seeds.replay(seed, test))")
      if !run.complaints.isEmpty { return }
    }
  }

  /// Judges `count` runs that lose power at operations that the seed says.
  static func expectSomeCuts(_ seed: UInt64, turns: Int, count: Int = 4, _ test: String) {
    let last = operations(seed, turns: turns)
    var random = SplitMix64(seed: seed &* 31)
    for _ in 0..<count {
      let operation = Int.random(in: 1...last, using: &random)
      let run = judged(seed, turns: turns, crashAt: operation)
      #expect(run.complaints == [], "operation \(operation): \(Seeds.replay(seed, test))")
    }
  }
}
