// Snapshots made while the engine goes on, opened after a loss of power: what they hold is the state at their sequence.

import Broker
import Engine
import Primitives
import SimulatedDisk
import TestSeeds
import Testing

@Suite("snapshots")
struct SnapshotTests {
  /// Clients schedule, publish and cancel; now and then somebody wants a snapshot.
  private final class SnapshotRun: PowerCutRun {
    private(set) var compared = 0
    private(set) var failed = 0

    override func step() throws {
      guard let machine else { return }
      // Long enough after it was begun that turns, checkpoints and removals come between.
      if Int.random(in: 0..<25, using: &random) == 0 { machine.io.runOne(lane: 2) }
      if Int.random(in: 0..<8, using: &random) == 0 { beginSnapshot(machine) }
      let id = Array("m\(Int.random(in: 0..<60, using: &random))".utf8)
      let topic = Array(["orders", "mail"][Int.random(in: 0..<2, using: &random)].utf8)
      let body = [UInt8](repeating: UInt8(ascii: "7"), count: Int.random(in: 1...120, using: &random))
      let delayMs = Int64.random(in: 0...9000, using: &random)
      let choice = Int.random(in: 0..<5, using: &random)
      try topic.withUnsafeBytes { topic in
        try id.withUnsafeBytes { id in
          try body.withUnsafeBytes { body in
            let parts = MessageParts(id: id, body: body)
            switch choice {
            case 0: _ = try broker.cancel(topic: topic, id: id)
            case 1: _ = try broker.publish(topic: topic, MessageParts(id: .init(start: nil, count: 0), body: body))
            default:
              var command = ScheduleCommand(topic: topic, parts: parts, due: .delay(delayMs), connection: 1)
              command.ifExists = .replace
              _ = try broker.schedule(command)
            }
          }
        }
      }
    }

    private func beginSnapshot(_ machine: SimulatedMachine) {
      let target = SimulatedStorage(seed: random.next())
      let crashSeed = random.next()
      let begin: () throws(StorageError) -> any Storage = { target }
      _ = machine.engine.makeSnapshot(SnapshotTarget(open: begin, finish: {})) { [unowned self] result in
        switch result {
        case .success(let summary): judge(summary, target.crash(seed: crashSeed))
        case .failure: failed += 1
        }
      }
    }

    private func judge(_ summary: SnapshotSummary, _ copy: SimulatedStorage) {
      complaints += FolderCheck.run(copy).damages.map { "the snapshot is damaged: \($0)" }
      guard let live = history.turn(endingWith: summary.sequence) else { return }
      do {
        let machine = try SimulatedMachine(disk: copy, settings: settings, time: time, seed: seed)
        defer { machine.io.abandon() }
        if machine.engine.recovery.log.nextSequence != summary.sequence + 1 {
          complaints.append("the snapshot goes on with record \(machine.engine.recovery.log.nextSequence)")
        }
        machine.broker.checkInvariants()
        let found = machine.broker.digest(asOf: live.nowMs, reading: copy.peek)
        complaints += StateHistory.differences(live: live.digest, started: found)
        compared += 1
      } catch {
        complaints.append("the snapshot does not open: \(error)")
      }
    }
  }

  @Test("a snapshot holds the state at its sequence, whatever happens meanwhile", arguments: Seeds.some(24))
  func sameState(_ seed: UInt64) {
    let run = SnapshotRun.judged(seed, turns: 160)
    #expect(run.complaints == [], Seeds.replay(seed, "SnapshotTests"))
    #expect(run.compared > 0 && run.failed == 0)
  }

  @Test("a stop does not wait for a snapshot, which gets no name then")
  func givenUp() throws {
    let run = SnapshotRun(seed: 1, crashAt: nil)
    run.run(turns: 0)
    let machine = try #require(run.machine)
    let target = SimulatedStorage()
    let begin: () throws(StorageError) -> any Storage = { target }
    var results: [Result<SnapshotSummary, StorageError>] = []
    let finish: () throws(StorageError) -> Void = { Issue.record("the snapshot has got its name") }
    let isBegun = machine.engine.makeSnapshot(SnapshotTarget(open: begin, finish: finish)) { results.append($0) }
    #expect(isBegun)
    // The checkpoint is written; the copy waits for its lane.
    for _ in 0..<6 {
      run.turn()
      while machine.io.runOne(lane: 0) || machine.io.runOne(lane: 1) || machine.turnLog() {}
    }
    #expect(results.isEmpty)
    machine.engine.stop { while machine.turnLog() {} }
    #expect(results.count == 1)
    for case .success in results { Issue.record("the snapshot was made to its end") }
  }

  @Test("a clean stop gives up a snapshot and is clean", arguments: Seeds.some(8))
  func stopped(_ seed: UInt64) {
    let run = SnapshotRun(seed: seed, crashAt: nil)
    run.run(turns: 25)
    for _ in 0..<3 {
      run.restart(cleanly: true, salvaging: false) { run.complaints += FolderCheck.run($0).damages }
      for _ in 0..<25 {
        run.time.nowNs += 100 * TimeUnits.nsPerMs
        run.turn { try run.step() }
      }
    }
    #expect(run.complaints == [], Seeds.replay(seed, "SnapshotTests"))
  }
}
