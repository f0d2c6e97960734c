// Operations that fail, a disk that runs full, and a replay of a run's own records.

import Broker
import Primitives
import SimulatedDisk
import TestSeeds
import Testing

@Suite("faults")
struct FaultTests {
  /// Runs a script on a disk with a fault, then starts again on a healthy one and judges.
  static func run(_ seed: UInt64, turns: Int, _ fault: SimulatedStorage.Fault, at operation: Int) -> Simulation {
    let simulation = Simulation(seed: seed, turns: turns)
    simulation.expectsFailure = true
    simulation.disk.setFault(fault, atOperation: operation)
    simulation.run()
    if !simulation.isBroken, !simulation.isStopped, simulation.disk.operations >= operation {
      // The loop may not have heard of it yet.
      simulation.background(1000)
      simulation.turn()
      if !simulation.isStopped { simulation.ledger.complain("nobody noticed that operation \(operation) failed") }
    }
    simulation.repair(losesPower: seed & 1 == 0)
    simulation.reckon()
    return simulation
  }

  @Test("a failed operation stops the store, and a restart has all that was promised", arguments: Seeds.some(1))
  func everyOperationFails(seed: UInt64) {
    for operation in 1...CrashTests.operations(seed, turns: 20) {
      for fault in [SimulatedStorage.Fault.failOnce, .failFromHere] {
        let simulation = Self.run(seed, turns: 20, fault, at: operation)
        #expect(
          simulation.ledger.complaints == [],
          "operation \(operation), \(fault); \(Seeds.replay(seed, "FaultTests/everyOperationFails"))")
        if !simulation.ledger.complaints.isEmpty { return }
      }
    }
  }

  @Test(
    "a full disk refuses new messages, keeps all promises, and recovers when there is space", arguments: Seeds.some(20))
  func fullDisk(seed: UInt64) {
    let simulation = Simulation(seed: seed, turns: 150)
    // As in the defaults: a checkpoint is not due before several segments are full.
    if seed & 1 == 0 { simulation.settings.checkpointBytes = 40_000 }
    simulation.run { turn in
      // Threads that keep up, and a loop that goes on when they have: while slices move there is no checkpoint, and the
      // journal's reserve must last for so long.
      for _ in 0..<200 {
        simulation.background(40)
        simulation.turn()
        if simulation.machine?.broker.isReadyForCheckpoint != false { break }
      }
      switch turn {
      case 40: simulation.disk.capacityBytes = simulation.disk.usedBytes + Int(seed % 16) << 10 + 8 << 10
      case 120: simulation.disk.capacityBytes = .max
      default: break
      }
    }
    simulation.reckon()
    #expect(simulation.ledger.complaints == [], Seeds.replay(seed, "FaultTests/fullDisk"))
  }

  @Test("a start makes of the disk what the running broker had in memory", arguments: Seeds.some(25))
  func liveIsReplayed(seed: UInt64) throws {
    let simulation = Simulation(seed: seed, turns: 120, deletesTopics: false)
    simulation.run()
    let (live, replayed) = try simulation.liveAndReplayed()
    #expect(
      StateHistory.differences(live: live, started: replayed) == [], Seeds.replay(seed, "FaultTests/liveIsReplayed"))
    #expect(simulation.ledger.complaints == [], Seeds.replay(seed, "FaultTests/liveIsReplayed"))
  }
}
