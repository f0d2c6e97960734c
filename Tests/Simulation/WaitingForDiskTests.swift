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
    /// What clients do in the first turn of a process.
    var inFirstTurn: () throws -> Void = {}
    override func connect() throws { try inFirstTurn() }

    var releasesPerTurn = 4096
    override var settings: EngineSettings {
      var settings = super.settings
      settings.broker.releasesPerTurn = releasesPerTurn
      return settings
    }

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

  /// A machine with a member of the group `t` in the topic `t`, where `m` is due after 10 ms, and `other` after `otherMs`.
  private func begin(_ run: Run, otherMs: Int64, settles: Bool = true) throws -> SimulatedMachine {
    run.run(turns: 0)
    run.rest(turns: 2, ms: 1)
    let machine = try #require(run.machine)
    _ = try machine.turn(nowNs: run.time.nowNs, mustSync: settles) {
      try run.schedule("m", afterMs: 10)
      try run.schedule("other", afterMs: otherMs)
      _ = try run.with("t") { try run.broker.subscribe(topic: $0, group: $0, sub: 1, connection: 1, ConsumerOptions()) }
    }
    while machine.turnLog() {}
    return machine
  }

  private func cancel(_ id: String, _ run: Run) throws -> CancelOutcome {
    try run.with("t") { topic in try run.with(id) { id in try run.broker.cancel(topic: topic, id: id).value } }
  }

  /// What the deliveries of the next turn wait for, after so many ms; and the turn's last record.
  private func deliver(_ run: Run, afterMs: Int64) throws -> (gates: [Sequence], last: Sequence) {
    let machine = try #require(run.machine)
    run.time.nowNs += afterMs * TimeUnits.nsPerMs
    let last = try machine.turn(nowNs: run.time.nowNs)
    let gates = machine.broker.effects.compactMap { effect -> Sequence? in
      if case .deliver(let delivery) = effect { delivery.gate(last: last).sequence } else { nil }
    }
    return (gates, last)
  }

  @Test("a released message is shown without waiting for the disk when its acceptance is settled")
  func releases() throws {
    let run = Run(seed: 1, crashAt: nil)
    let log = try begin(run, otherMs: 100_000).engine.log
    let delivered = try deliver(run, afterMs: 20)
    #expect(delivered.gates.count == 1 && delivered.gates[0] <= log.settledSequence)
    #expect(log.settledSequence < delivered.last)
  }

  @Test("a delivery is settled by the next sync, though no reply waits for one")
  func deliveries() throws {
    let run = Run(seed: 1, crashAt: nil)
    let machine = try begin(run, otherMs: 100_000, settles: false)
    let delivered = try deliver(run, afterMs: 20)
    #expect(delivered.gates.count == 1 && delivered.gates[0] > machine.engine.log.settledSequence)
    machine.turnLog()
    #expect(machine.engine.log.settledSequence == delivered.last)
  }

  @Test(
    "a delivery waits for the withdrawal of a message in front of it, and for no other",
    arguments: [(otherMs: Int64(5), waits: true), (otherMs: 10, waits: true), (otherMs: 11, waits: false)])
  func withdrawals(otherMs: Int64, waits: Bool) throws {
    let run = Run(seed: 1, crashAt: nil)
    let machine = try begin(run, otherMs: otherMs)
    _ = try machine.turn(nowNs: run.time.nowNs) {
      let outcome = try cancel("other", run)
      #expect(outcome == .cancelled)
    }
    let settled = machine.engine.log.settledSequence
    let delivered = try deliver(run, afterMs: 20)
    #expect(delivered.gates.count == 1 && (delivered.gates[0] > settled) == waits)
  }

  @Test("a start releases what is due before it does what clients ask")
  func starts() throws {
    let run = Run(seed: 1, crashAt: nil)
    _ = try begin(run, otherMs: 11)
    run.time.nowNs += 20 * TimeUnits.nsPerMs
    var outcome: CancelOutcome?
    run.inFirstTurn = { outcome = try self.cancel("other", run) }
    run.releasesPerTurn = 1
    run.restart(cleanly: false, salvaging: false)
    #expect(outcome == .released)
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
