// What has left and is not booked yet, where order counts: a replay must leave of an id what the running broker left of it.

import Broker
import Engine
import Foundations
import SimulatedDisk
import Testing

@Suite("booking")
struct BookingTests {
  /// A process without clients; checkpoints only where a test wants them.
  private final class QuietRun: PowerCutRun {
    override var settings: EngineSettings {
      var settings = super.settings
      settings.broker.idWindowMs = 10_000
      return settings
    }

    func with<R>(_ text: String, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
      try Array(text.utf8).withUnsafeBytes(body)
    }

    func schedule(_ id: String, afterMs: Int64) throws {
      _ = try with("t") { topic in
        try with(id) { id in
          let none = UnsafeRawBufferPointer(start: nil, count: 0)
          return try broker.schedule(
            ScheduleCommand(
              topic: topic, parts: MessageParts(id: id, body: none), due: .delay(afterMs), connection: 1))
        }
      }
    }

    func publish(_ id: String) throws -> TopicOffset {
      try with("t") { topic in
        try with(id) { id in
          try broker.publish(topic: topic, MessageParts(id: id, body: UnsafeRawBufferPointer(start: nil, count: 0)))
            .offset
        }
      }
    }
  }

  @Test("an id that was used again behind its window is known by its later use after a start, too")
  func laterUse() throws {
    let run = QuietRun(seed: 1, crashAt: nil)
    run.checkpointBytes = 1 << 20
    run.run(turns: 0)
    run.turn { try run.schedule("x", afterMs: 10) }
    run.rest(turns: 2, ms: 20)
    // The window passes, and nothing else is scheduled.
    run.rest(turns: 2, ms: 20_000)
    var second: TopicOffset = 0
    run.turn { second = try run.publish("x") }
    run.rest(turns: 2, ms: 1)
    #expect(second == 1)
    run.restart(cleanly: false, salvaging: false)
    var third: TopicOffset = 0
    run.turn { third = try run.publish("x") }
    #expect(third == second)
    #expect(run.complaints == [])
  }
}
