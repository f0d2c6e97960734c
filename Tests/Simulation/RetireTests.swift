// Messages that have been released and are not retired yet, where order counts: a replay must remember the same outcome of an
// id as the running broker.

import Engine
import Primitives
import SimulatedDisk
import Testing

@testable import Broker

@Suite("retiring")
struct RetireTests {
  /// A process without clients; checkpoints only where a test wants them.
  private final class QuietRun: PowerCutRun {
    var releasesPerTurn = 4096

    override var settings: EngineSettings {
      var settings = super.settings
      settings.broker.idWindowMs = 10_000
      settings.broker.releasesPerTurn = releasesPerTurn
      return settings
    }

    func with<R>(_ text: String, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
      try Array(text.utf8).withUnsafeBytes(body)
    }

    @discardableResult
    func schedule(_ id: String, afterMs: Int64) throws -> ScheduleReply {
      try with("t") { topic in
        try with(id) { id in
          let none = UnsafeRawBufferPointer(start: nil, count: 0)
          return try broker.schedule(
            ScheduleCommand(
              topic: topic, parts: MessageParts(id: id, body: none), due: .delay(afterMs), connection: 1)
          ).value
        }
      }
    }

    func publish(_ id: String) throws -> TopicOffset {
      try with("t") { topic in
        try with(id) { id in
          try broker.publish(topic: topic, MessageParts(id: id, body: UnsafeRawBufferPointer(start: nil, count: 0)))
            .value.offset
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

  @Test("a command in the middle of a burst does not retire the burst, unless it is about a message of it")
  func commandsInABurst() throws {
    let run = QuietRun(seed: 2, crashAt: nil)
    run.checkpointBytes = 1 << 20
    run.releasesPerTurn = 10
    run.run(turns: 0)
    run.turn { for number in 0..<100 { try run.schedule("\(number)", afterMs: 10) } }
    run.time.nowNs += 20 * TimeUnits.nsPerMs
    run.turn()
    let waiting = run.broker.pending.retiringCount
    #expect(waiting >= 10)
    run.turn {
      try run.schedule("another", afterMs: 5000)
      #expect(run.broker.pending.retiringCount == waiting + 10)
      #expect(run.broker.pending.count == 100 - waiting - 10 + 1)
    }
    run.turn {
      let again = try run.schedule("0", afterMs: 5000)
      #expect(again.outcome == .released)
      #expect(run.broker.pending.retiringCount == 0)
    }
    #expect(run.complaints == [])
  }
}
