// Clusters of three nodes over a stream that does all that a stream may do.

import Testing

@Suite("a cluster") struct ClusterSimulationTests {
  @Test("keeps its promises whatever strikes", arguments: Seeds.some(20))
  func faults(seed: UInt64) {
    let run = ClusterRun(seed: seed)
    run.run(seconds: 60)
    #expect(run.complaints == [], Seeds.replay(seed, "ClusterSimulationTests/faults"))
    print(
      "seed \(seed): \(run.truth.fold.voidCount) void, \(run.truth.fold.validCount) valid, epoch \(run.truth.epoch), shown \(run.ledger.shown), accepted \(run.ledger.accepted), delivered \(run.ledger.delivered), cmp \(run.comparisons), takeovers \(run.takeovers) copies \(run.copies) first \(run.stream.first) late \(run.stream.storedTooLate) \(run.faultsDone)"
    )
  }
}
