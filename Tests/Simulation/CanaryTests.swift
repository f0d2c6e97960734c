// Defects planted around the production code: a simulation that does not find them finds nothing.

import Testing

@Suite("canaries")
struct CanaryTests {
  @Test("a planted defect is found within a few seeds", arguments: PlantedBug.allCases)
  func isFound(bug: PlantedBug) {
    var tried = 0
    for seed in 1...20 as ClosedRange<UInt64> {
      tried += 1
      // Sound runs of the same seeds are judged sound by the other tests.
      let simulation = CrashTests.run(seed, turns: 60, crashAt: 150, bug: bug)
      if !simulation.ledger.complaints.isEmpty { return }
    }
    Issue.record("\(tried) seeds did not find \(bug)")
  }
}
