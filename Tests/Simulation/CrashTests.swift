// Loss of power at every operation of the disk.

import SimulatedDisk
import TestSeeds
import Testing

@Suite("crashes")
struct CrashTests {
  /// Runs a script with a loss of power at operation `crashAt` (and more of them later, as the seed says).
  static func run(_ seed: UInt64, turns: Int, crashAt: Int?, bug: PlantedBug? = nil) -> Simulation {
    let simulation = Simulation(seed: seed, turns: turns, bug: bug)
    if let crashAt { simulation.disk.setFault(.crash, atOperation: crashAt) }
    simulation.run()
    simulation.reckon()
    return simulation
  }

  static func operations(_ seed: UInt64, turns: Int) -> Int {
    let simulation = Simulation(seed: seed, turns: turns)
    simulation.run()
    return simulation.disk.operations
  }

  @Test("without faults everything happens once and in order", arguments: Seeds.some(25))
  func calm(seed: UInt64) {
    let simulation = Self.run(seed, turns: 120, crashAt: nil)
    #expect(simulation.ledger.complaints == [], Seeds.replay(seed, "CrashTests/calm"))
  }

  @Test("a loss of power at any operation of a short script breaks no promise", arguments: Seeds.some(1))
  func everywhere(seed: UInt64) {
    var comparisons = 0
    for operation in 1...Self.operations(seed, turns: 20) {
      let simulation = Self.run(seed, turns: 20, crashAt: operation)
      comparisons += simulation.history.comparisons
      #expect(
        simulation.ledger.complaints == [], "operation \(operation); \(Seeds.replay(seed, "CrashTests/everywhere"))")
      if !simulation.ledger.complaints.isEmpty { return }
    }
    #expect(comparisons > 100, "starts were compared with what the running broker had")
  }

  @Test("a loss of power at some operations of a long script breaks no promise", arguments: Seeds.some(20))
  func sampled(seed: UInt64) {
    let last = Self.operations(seed, turns: 150)
    var random = SplitMix64(seed: seed &* 31)
    for _ in 0..<3 {
      let operation = Int.random(in: 1...last, using: &random)
      let simulation = Self.run(seed, turns: 150, crashAt: operation)
      #expect(
        simulation.ledger.complaints == [], "operation \(operation); \(Seeds.replay(seed, "CrashTests/sampled"))")
      if !simulation.ledger.complaints.isEmpty { return }
    }
  }
}
