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

  @Test("a delivery is settled by the next sync, though no reply waits for one")
  func deliveries() throws {
    let run = Run(seed: 1, crashAt: nil)
    run.run(turns: 0)
    run.turn {
      try run.schedule("x", afterMs: 10)
      _ = try run.with("t") { try run.broker.subscribe(topic: $0, group: $0, sub: 1, connection: 1, ConsumerOptions()) }
    }
    run.rest(turns: 2, ms: 1)
    let machine = try #require(run.machine)
    run.time.nowNs += 20 * TimeUnits.nsPerMs
    let last = try machine.turn(nowNs: run.time.nowNs)
    let isDelivered = machine.broker.effects.contains { if case .deliver = $0 { true } else { false } }
    #expect(isDelivered && machine.engine.log.settledSequence < last)
    machine.turnLog()
    #expect(machine.engine.log.settledSequence == last)
  }

  @Test("a delivery that acknowledges itself is shown when its end is settled, not before: a crash would show it again")
  func selfAcknowledged() throws {
    let run = Run(seed: 3, crashAt: nil)
    run.run(turns: 0)
    run.turn {
      let queue = try run.broker.makeQueue("q")
      run.with("1") {
        let parts = MessageParts(id: UnsafeRawBufferPointer(rebasing: $0[..<0]), body: $0)
        run.broker.enqueue(parts, to: [QueueTarget(queue, timeToLiveMs: nil)])
      }
      run.broker.enforceQueueRules()
    }
    run.rest(turns: 2, ms: 1)
    let machine = try #require(run.machine)
    var options = ConsumerOptions()
    options.acknowledgesItself = true
    let last = try machine.turn(nowNs: run.time.nowNs) {
      _ = try machine.broker.consume(machine.broker.findQueue("q")!, sub: 1, connection: 1, options)
    }
    let gates = machine.broker.effects.compactMap {
      if case .deliver(let one) = $0 { one.gate(last: last) } else { nil }
    }
    #expect(gates == [Gate(last)] && machine.engine.log.settledSequence < last)
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
