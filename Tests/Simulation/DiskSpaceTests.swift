// What the engine does about space: what it refuses, and what it cleans up.

import Broker
import Engine
import Journal
import Primitives
import SimulatedDisk
import Testing

@Suite("disk space")
struct DiskSpaceTests {
  private final class WatchingRun: PowerCutRun {
    override var settings: EngineSettings {
      var settings = super.settings
      settings.checkpointBytes = 1 << 20
      return settings
    }

    func schedule(_ id: Int) throws {
      try Array("\(id)".utf8).withUnsafeBytes { id in
        let parts = MessageParts(id: id, body: UnsafeRawBufferPointer(start: nil, count: 0))
        _ = try broker.schedule(ScheduleCommand(topic: id, parts: parts, due: .delay(100_000), connection: 1))
      }
    }
  }

  @Test("while the journal has no room for its next segment, new messages are refused, whatever the disk has free")
  func journalWithoutRoom() throws {
    let run = WatchingRun(seed: 3, crashAt: nil)
    run.run(turns: 0)
    let machine = try #require(run.machine)
    // Less than a segment, and more than the least that must be free.
    run.disk.capacityBytes = run.disk.usedBytes + 4096
    for number in 0..<200 where !machine.engine.log.isSpaceLow {
      run.turn { try run.schedule(number) }
      while machine.turnLog() {}
    }
    try #require(machine.engine.log.isSpaceLow && run.disk.freeBytes() > 0)
    for _ in 0..<3 {
      run.time.nowNs += 1100 * TimeUnits.nsPerMs
      _ = try machine.turn(nowNs: run.time.nowNs)
      machine.io.runAll()
      _ = try machine.turn(nowNs: run.time.nowNs) { #expect(machine.broker.isDiskFull) }
    }
  }

  @Test("files that no checkpoint names go at a start")
  func leftOvers() throws {
    let run = WatchingRun(seed: 4, crashAt: nil)
    run.run(turns: 0)
    run.turn { try run.schedule(1) }
    run.rest(turns: 3, ms: 10)
    let strangers = ["delay/0-7.9.slice", "settled/977.ids", "topics/55/00000000000000000000.log", "journal/spare.tmp"]
    run.restart(cleanly: true, salvaging: false) { disk in
      for path in strangers { disk.place(path, [1, 2, 3]) }
    }
    #expect(run.complaints == [])
    for path in strangers { #expect(run.disk.contents(path)?.count != 3, "\(path)") }
  }
}
