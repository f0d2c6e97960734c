// Who waits for the disk waits for one sync, not for the tenth of a second after which everything is synced anyway; and a
// checkpoint waits for its records, whatever the policy says about syncing.

import Broker
import Engine
import Journal
import Primitives
import SimulatedDisk
import Testing

@Suite("waiting for the disk")
struct WaitingForDiskTests {
  /// Clients without a will of their own.
  private class Run: PowerCutRun {
    func with<R>(_ text: String, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
      try Array(text.utf8).withUnsafeBytes(body)
    }

    func schedule(_ id: String, afterMs: Int64) throws {
      try with("t") { topic in
        try with(id) { id in
          let parts = MessageParts(id: id, body: UnsafeRawBufferPointer(start: nil, count: 0))
          _ = try broker.schedule(
            ScheduleCommand(topic: topic, parts: parts, due: .delay(afterMs), connection: 1))
        }
      }
    }
  }

  /// Delivers a message that was accepted in a turn before; gives the gates of its deliveries, and the turn's last record.
  private func deliver(_ run: Run, settlesBefore: Bool) throws -> (gates: [Sequence], last: Sequence) {
    run.run(turns: 0)
    run.rest(turns: 2, ms: 1)
    let machine = try #require(run.machine)
    _ = try machine.turn(nowNs: run.time.nowNs, mustSync: settlesBefore) {
      try run.schedule("x", afterMs: 10)
      _ = try run.with("t") { try run.broker.subscribe(topic: $0, group: $0, sub: 1, connection: 1, ConsumerOptions()) }
    }
    while machine.turnLog() {}
    run.time.nowNs += 20 * TimeUnits.nsPerMs
    let last = try machine.turn(nowNs: run.time.nowNs)
    let gates = machine.broker.effects.compactMap {
      if case .deliver(let delivery) = $0 { delivery.gate(last: last).sequence } else { nil }
    }
    return (gates, last)
  }

  @Test("a released message is shown without waiting for the disk when its acceptance is settled")
  func releases() throws {
    let run = Run(seed: 1, crashAt: nil)
    let delivered = try deliver(run, settlesBefore: true)
    let settled = try #require(run.machine).engine.log.settledSequence
    #expect(delivered.gates.count == 1 && delivered.gates[0] <= settled && settled < delivered.last)
  }

  @Test("a delivery is settled by the next sync, though no reply waits for one")
  func deliveries() throws {
    let run = Run(seed: 1, crashAt: nil)
    let delivered = try deliver(run, settlesBefore: false)
    let log = try #require(run.machine).engine.log
    #expect(delivered.gates.count == 1 && delivered.gates[0] > log.settledSequence)
    run.machine?.turnLog()
    #expect(log.settledSequence == delivered.last)
  }

  @Test("a reply that rests on a record of an earlier turn is settled by the next sync")
  func earlierRecords() throws {
    let run = Run(seed: 2, crashAt: nil)
    run.run(turns: 0)
    run.rest(turns: 2, ms: 1)
    let machine = try #require(run.machine)
    let last = try machine.turn(nowNs: run.time.nowNs) { try run.schedule("x", afterMs: 10_000) }
    while machine.turnLog() {}
    #expect(machine.engine.log.writtenSequence == last && machine.engine.log.settledSequence < last)
    #expect(try machine.turn(nowNs: run.time.nowNs, mustSync: true) == last)
    machine.turnLog()
    #expect(machine.engine.log.settledSequence == last)
  }

  /// One record a turn, and a checkpoint every few of them.
  private final class CheckpointRun: Run {
    private var chosen = SyncPolicy.always
    override var policy: SyncPolicy { chosen }

    override var settings: EngineSettings {
      var settings = super.settings
      settings.checkpointBytes = 300
      return settings
    }

    override func step() throws { try schedule("m\(broker.records.nextSequence)", afterMs: 100_000) }

    static func after(_ seed: UInt64, _ policy: SyncPolicy, crashAt: Int?) -> CheckpointRun {
      let run = CheckpointRun(seed: seed, crashAt: crashAt)
      run.chosen = policy
      run.run(turns: 0)
      for _ in 0..<15 where run.complaints.isEmpty { run.turn { try run.step() } }
      return run
    }
  }

  @Test(
    "a loss of power never leaves a checkpoint that the journal does not reach",
    arguments: [SyncPolicy.always, .interval(ms: 1000), .never])
  func checkpoints(policy: SyncPolicy) {
    for seed in 1...2 as ClosedRange<UInt64> {
      for operation in 1...CheckpointRun.after(seed, policy, crashAt: nil).disk.operations {
        let run = CheckpointRun.after(seed, policy, crashAt: operation)
        #expect(run.complaints == [], "seed \(seed), operation \(operation)")
        if !run.complaints.isEmpty { return }
      }
    }
  }
}
