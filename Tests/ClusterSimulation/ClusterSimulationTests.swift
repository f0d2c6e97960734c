// Clusters of three nodes over a stream that does all that a stream may do.

import Foundation
import Testing

@Suite("a cluster", .serialized) struct ClusterSimulationTests {
  @Test("keeps its promises whatever strikes", arguments: Seeds.some(6))
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
}
