// Clusters of three nodes over a stream that does all that a stream may do.

import Foundation
import TestSeeds
import Testing

@Suite("a cluster", .serialized) struct ClusterSimulationTests {
  @Test("keeps its promises whatever strikes", arguments: Seeds.some(4))
  func faults(seed: UInt64) {
    let run = ClusterRun(seed: seed)
    run.run(seconds: 20)
    #expect(run.complaints == [], Seeds.replay(seed, "ClusterSimulationTests/faults"))
    #expect(run.comparisons > 0 && run.takeovers > 0 && run.ledger.accepted > 0)
    if ProcessInfo.processInfo.environment["ESCAPEMENT_TELL"] != nil { print(run.summary) }
  }

  @Test("has met what a condition on the last message cannot keep out: entries that do not count")
  func void() {
    var voidEntries = 0
    for seed in UInt64(1)...8 where voidEntries == 0 {
      let run = ClusterRun(seed: seed)
      run.seizesOnly = true
      run.run(seconds: 6)
      #expect(run.complaints == [], Seeds.replay(seed, "ClusterSimulationTests/void"))
      voidEntries += run.truth.fold.voidCount
    }
    #expect(voidEntries > 0)
  }

  @Test(
    "a node that comes late, when the stream has been truncated, gets the folder of another one",
    arguments: Seeds.some(1))
  func late(seed: UInt64) {
    let run = ClusterRun(seed: seed)
    for node in run.nodes { run.start(node) }
    var steps = 0
    func step(until isSo: () -> Bool) {
      while !isSo(), steps < 400_000, run.complaints.isEmpty {
        run.step(hasFaults: true)
        steps += 1
      }
    }
    step { run.stream.first > 200 }
    let late = run.addNode()
    run.start(late)
    step { run.copies > 0 && late.engine != nil }
    run.reckon()
    #expect(run.complaints == [], Seeds.replay(seed, "ClusterSimulationTests/late"))
    #expect(run.copies > 0 && run.stream.first > 200 && late.engine != nil)
    if ProcessInfo.processInfo.environment["ESCAPEMENT_TELL"] != nil { print(run.summary) }
  }

  @Test("a leader that was paused shows nothing more, before it knows that another one leads", arguments: Seeds.some(3))
  func paused(seed: UInt64) throws {
    let run = ClusterRun(seed: seed)
    run.stream.faults.lostLeaders = 0
    for node in run.nodes { run.start(node) }
    var leader: SimulatedNode?
    // One that has something to show which is settled.
    for _ in 0..<100_000 where leader == nil {
      run.step(hasFaults: false)
      leader = run.nodes.first { node in
        guard let log = node.shard?.log, log.mayShow else { return false }
        let settled = log.settledSequence
        return node.waiting.contains { $0.sequence <= settled }
      }
    }
    let old = try #require(leader)
    old.pausedUntilNs = .max
    let takeovers = run.takeovers
    for _ in 0..<100_000 where run.takeovers == takeovers { run.step(hasFaults: false) }
    #expect(run.takeovers == takeovers + 1)
    let shown = run.ledger.shown
    run.tell(old)
    #expect(run.ledger.shown == shown && run.complaints == [], Seeds.replay(seed, "ClusterSimulationTests/paused"))
  }
}
