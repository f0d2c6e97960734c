// The engine over other logs than the journal: it knows only the seam.
//
// Holds: the log settles late, and a crash takes along what it had not made durable; with the log of several machines no
// delivery is shown before its own record, and every one that was shown is in the log.

import Primitives
import SimulatedDisk
import SimulatedLog
import TestSeeds
import Testing

@Suite("other logs")
struct LogTests {
  @Test("a loss of power at some operations breaks no promise", arguments: LogMedium.Kind.allCases, Seeds.some(20))
  func sampled(log: LogMedium.Kind, seed: UInt64) {
    let whole = Simulation(seed: seed, turns: 150, log: log)
    whole.run()
    whole.reckon()
    #expect(whole.ledger.complaints == [], Seeds.replay(seed, "LogTests/sampled"))
    var random = SplitMix64(seed: seed &* 31)
    for _ in 0..<3 {
      let operation = Int.random(in: 1...whole.disk.operations, using: &random)
      let simulation = Simulation(seed: seed, turns: 150, log: log)
      simulation.disk.setFault(.crash, atOperation: operation)
      simulation.run()
      simulation.reckon()
      #expect(simulation.ledger.complaints == [], "operation \(operation); \(Seeds.replay(seed, "LogTests/sampled"))")
      if !simulation.ledger.complaints.isEmpty { return }
    }
  }

  @Test(
    "a loss of power right behind a checkpoint finds a log that reaches it", arguments: LogMedium.Kind.allCases,
    Seeds.some(20))
  func checkpoints(log: LogMedium.Kind, seed: UInt64) {
    let simulation = Simulation(seed: seed, turns: 150, log: log)
    simulation.run { _ in
      guard let engine = simulation.machine?.engine, engine.counters.checkpoints > 0 else { return }
      simulation.losePower()
      simulation.start()
    }
    simulation.reckon()
    #expect(simulation.ledger.complaints == [], Seeds.replay(seed, "LogTests/checkpoints"))
  }

  @Test(
    "a log that fails stops the store, and a restart has all that was promised", arguments: LogMedium.Kind.allCases,
    Seeds.some(20))
  func failure(log: LogMedium.Kind, seed: UInt64) {
    let simulation = Simulation(seed: seed, turns: 100, log: log)
    simulation.expectsFailure = true
    simulation.run { turn in
      guard turn == 30 + Int(seed), let log = simulation.machine?.engine.log as? MemoryLog else { return }
      log.fail(StorageError(kind: .failed, operation: "append", path: "log", reason: "a test"))
    }
    #expect(simulation.isStopped, "the failure has reached the broker")
    simulation.repair(losesPower: seed & 1 == 0)
    simulation.reckon()
    #expect(simulation.ledger.complaints == [], Seeds.replay(seed, "LogTests/failure"))
  }

  @Test(
    "a start makes of the log what the running broker had in memory", arguments: LogMedium.Kind.allCases, Seeds.some(10)
  )
  func liveIsReplayed(log: LogMedium.Kind, seed: UInt64) throws {
    let simulation = Simulation(seed: seed, turns: 120, deletesTopics: false, log: log)
    simulation.run()
    let (live, replayed) = try simulation.liveAndReplayed()
    #expect(live == replayed, Seeds.replay(seed, "LogTests/liveIsReplayed"))
    #expect(simulation.ledger.complaints == [], Seeds.replay(seed, "LogTests/liveIsReplayed"))
  }
}
