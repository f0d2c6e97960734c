// A checkpoint that is prepared over several turns, beside what else may happen in them.

import Broker
import Engine
import Primitives
import SimulatedDisk
import Testing

@Suite("preparing a checkpoint")
struct PreparingTests {
  private final class SlowRun: PowerCutRun {
    override var settings: EngineSettings {
      var settings = super.settings
      settings.broker.copiesPerTurn = 1
      return settings
    }

    func schedule(_ id: String) throws {
      let none = UnsafeRawBufferPointer(start: nil, count: 0)
      try Array(id.utf8).withUnsafeBytes { id in
        let parts = MessageParts(id: id, body: none)
        _ = try broker.schedule(ScheduleCommand(topic: id, parts: parts, due: .delay(900), connection: 1))
      }
    }
  }

  @Test("a message that is cancelled after a checkpoint has copied it does not come back with the next one")
  func cancelledCopy() throws {
    let run = SlowRun(seed: 1, crashAt: nil)
    run.checkpointBytes = 1 << 20
    run.run(turns: 0)
    run.turn { for id in ["a", "b"] { try run.schedule(id) } }
    run.rest(turns: 2, ms: 1)
    // A clean stop takes a checkpoint.
    run.restart(cleanly: true, salvaging: false)
    #expect(run.broker.gauges.pending == 2)
    var outcome: CancelOutcome?
    run.turn { outcome = try Array("a".utf8).withUnsafeBytes { try run.broker.cancel(topic: $0, id: $0).value } }
    #expect(outcome == .cancelled)
    run.rest(turns: 2, ms: 1)
    run.restart(cleanly: true, salvaging: false)
    #expect(run.broker.gauges.pending == 1 && run.complaints == [])
  }

  @Test("a store that fails meanwhile wakes nobody any more")
  func failure() throws {
    let run = SlowRun(seed: 2, crashAt: nil)
    run.checkpointBytes = 4000
    run.run(turns: 0)
    run.turn { for number in 0..<30 { try run.schedule("\(number)") } }
    let machine = try #require(run.machine)
    try #require(machine.engine.nextWakeUpMs == machine.broker.nowMs, "a checkpoint is being prepared")
    machine.broker.fail(StorageError(kind: .failed, operation: "sync", path: "journal", reason: "a test"))
    run.turn()
    #expect(machine.engine.nextWakeUpMs == nil)
  }
}
