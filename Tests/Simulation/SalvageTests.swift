// A server that was told to leave damaged parts of its journal out: it has lost what stood there, and must live on with the rest.
//
// Holds: after a salvage every command and every turn works (no trap, no stopped store), and the next start is a usual one.
// Leaves to others: what the journal finds and says (JournalTests); what is lost is lost, so no ledger is kept.

import Broker
import Engine
import Primitives
import SimulatedDisk
import TestSeeds
import Testing

@Suite("salvage")
struct SalvageTests {
  /// Flips bits at up to three places of the journal where something stands.
  static func damage(_ disk: SimulatedStorage, _ random: inout SplitMix64) {
    let journal = disk.paths.filter { $0.hasPrefix("journal/") && !$0.hasSuffix(".tmp") }
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      guard let path = journal.randomElement(using: &random), let bytes = disk.contents(path) else { continue }
      let used = bytes.indices.filter { bytes[$0] != 0 }
      guard let at = used.randomElement(using: &random) else { continue }
      disk.flip(bit: Int.random(in: 0..<8, using: &random), of: path, at: at)
    }
  }

  @Test("a damaged journal is left out, and everything works on", arguments: Seeds.some(25))
  func everything(seed: UInt64) {
    var random = SplitMix64(seed: seed &* 131)
    let before = Simulation(seed: seed, turns: 50)
    // Few checkpoints: a long journal is to be replayed.
    before.settings.checkpointBytes = 1 << 20
    before.run()
    before.endProcess()
    before.disk.restartProcess()
    Self.damage(before.disk, &random)
    let after = Simulation(seed: seed &+ 5000, turns: 50)
    after.disk = before.disk
    after.settings.salvages = true
    after.time.nowNs = before.time.nowNs
    after.run()
    let stopped = after.ledger.complaints.filter { $0.contains("the store stopped") || $0.contains("does not open") }
    #expect(stopped == [], Seeds.replay(seed, "SalvageTests/everything"))
    if let machine = after.machine { machine.engine.stop { while machine.turnLog() {} } }
    after.endProcess()
    after.disk.restartProcess()
    after.settings.salvages = false
    after.start()
    let refused = after.ledger.complaints.filter { $0.contains("does not open") }
    #expect(refused == [], Seeds.replay(seed, "SalvageTests/everything"))
  }

  private final class LongJournal: PowerCutRun {
    func schedule(_ id: Int) throws {
      try Array("\(id)".utf8).withUnsafeBytes { id in
        let parts = MessageParts(id: id, body: UnsafeRawBufferPointer(start: nil, count: 0))
        _ = try broker.schedule(ScheduleCommand(topic: id, parts: parts, due: .delay(100_000), connection: 1))
      }
    }
  }

  @Test("what was left out is behind a checkpoint at once: a crash and a usual start are no trouble")
  func checkpoint() throws {
    let run = LongJournal(seed: 1, crashAt: nil)
    run.checkpointBytes = 1 << 20
    run.run(turns: 0)
    for number in 0..<20 {
      run.turn { try run.schedule(number) }
      run.rest(turns: 1, ms: 10)
    }
    run.restart(cleanly: false, salvaging: true) { disk in
      // In the first record of the journal.
      let journal = disk.paths.filter { $0.hasSuffix(".wal") }
      disk.flip(bit: 2, of: journal[0], at: 4096 + 40 + 30)
    }
    #expect(run.machine?.engine.recovery.log.lost.isEmpty == false)
    run.rest(turns: 5, ms: 10)
    run.restart(cleanly: false, salvaging: false)
    #expect(run.complaints == [])
  }

  /// Makes queues, and fills them.
  private final class QueueMaker: PowerCutRun {
    func queue(_ name: String) throws -> Group { try broker.findQueue(name) ?? broker.makeQueue(name) }

    func enqueue(to name: String) throws {
      try Array(name.utf8).withUnsafeBytes { body in
        let parts = MessageParts(id: UnsafeRawBufferPointer(rebasing: body[..<0]), body: body)
        broker.enqueue(parts, to: [QueueTarget(try queue(name), timeToLiveMs: nil)])
      }
      broker.enforceQueueRules()
    }
  }

  @Test("a topic made afterwards gets a number that no record names, and leaves the others alone")
  func numbers() throws {
    let run = QueueMaker(seed: 1, crashAt: nil)
    run.checkpointBytes = 1 << 20
    run.run(turns: 0)
    // The record of the first queue's making is the one that is lost; the last record still names it.
    for name in ["lost", "kept", "lost"] {
      run.turn { try run.enqueue(to: name) }
      run.rest(turns: 1, ms: 10)
    }
    run.restart(cleanly: false, salvaging: true) { disk in
      let journal = disk.paths.filter { $0.hasSuffix(".wal") }
      disk.flip(bit: 2, of: journal[0], at: 4096 + 40 + 30)
    }
    #expect(run.broker.findQueue("lost") == nil)
    run.turn { try run.enqueue(to: "new") }
    let kept = try #require(run.broker.findQueue("kept"))
    let new = try #require(run.broker.findQueue("new"))
    #expect(kept.topic.number == 2 && new.topic.number == 3)
    #expect(kept.readyCount == 1 && new.readyCount == 1)
    run.broker.checkInvariants()
    #expect(run.complaints == [])
  }

  @Test("queues of the RabbitMQ front end work on, too", arguments: Seeds.some(15))
  func queues(seed: UInt64) {
    var random = SplitMix64(seed: seed &* 137)
    let run = LadderRun(seed: seed, crashAt: nil)
    run.checkpointBytes = 1 << 20
    run.run(turns: 60)
    run.restart(cleanly: false, salvaging: true) { Self.damage($0, &random) }
    run.rest(turns: 20, ms: 300)
    run.restart(cleanly: true, salvaging: false)
    run.rest(turns: 5, ms: 300)
    let stopped = run.complaints.filter { $0.contains("the store stopped") || $0.contains("does not open") }
    #expect(stopped == [], Seeds.replay(seed, "SalvageTests/queues"))
  }
}
