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
