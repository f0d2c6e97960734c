// The whole server under clients, on a network and a disk that fail: every promise of the wire, judged by what was on the wire.

import Foundation
import SimulatedDisk
import Testing

@Suite("the whole server")
struct ServerSimulationTests {
  /// `ESCAPEMENT_SEED` picks one seed, `ESCAPEMENT_SEEDS` says how many times the usual number.
  static func seeds(_ count: Int) -> [UInt64] {
    let environment = ProcessInfo.processInfo.environment
    if let one = environment["ESCAPEMENT_SEED"].flatMap(UInt64.init) { return [one] }
    return Array(1...UInt64(count * max(1, environment["ESCAPEMENT_SEEDS"].flatMap(Int.init) ?? 1)))
  }

  private func judge(_ run: ServerSimulation, _ test: String, between: (Int) -> Void = { _ in }) {
    run.run(between: between)
    run.audit()
    #expect(
      run.ledger.complaints == [],
      "run again with: ESCAPEMENT_SEED=\(run.seed) swift test --filter ServerSimulation.ServerSimulationTests/\(test)")
    Tally.add(run)
  }

  @Test("on a sound disk every promise is kept", arguments: seeds(10))
  func calm(seed: UInt64) { judge(ServerSimulation(seed: seed, steps: 300), "calm") }

  @Test("losses of power break no promise", arguments: seeds(40))
  func powerCuts(seed: UInt64) {
    let run = ServerSimulation(seed: seed, steps: 300)
    run.disk.setFault(.crash, atOperation: Int.random(in: 1...600, using: &run.random))
    judge(run, "powerCuts")
  }

  @Test("on a sound disk every promise is kept, by AMQP, too", arguments: seeds(10))
  func amqp(seed: UInt64) { judge(ServerSimulation(seed: seed, steps: 300, amqpClients: 2), "amqp") }

  @Test("losses of power break no promise made by AMQP", arguments: seeds(30))
  func amqpPowerCuts(seed: UInt64) {
    let run = ServerSimulation(seed: seed, steps: 300, amqpClients: 2)
    run.disk.setFault(.crash, atOperation: Int.random(in: 1...600, using: &run.random))
    judge(run, "amqpPowerCuts")
  }

  @Test("a disk that fails makes the server close AMQP connections, not lie", arguments: seeds(10))
  func amqpFailures(seed: UInt64) {
    let run = ServerSimulation(seed: seed, steps: 300, amqpClients: 2)
    run.mayFail = true
    let fault = seed & 1 == 0 ? SimulatedStorage.Fault.failOnce : .failFromHere
    run.disk.setFault(fault, atOperation: Int.random(in: 30...500, using: &run.random))
    judge(run, "amqpFailures")
  }

  @Test("a disk that fails makes the server refuse, not lie", arguments: seeds(15))
  func failures(seed: UInt64) {
    let run = ServerSimulation(seed: seed, steps: 300)
    run.mayFail = true
    let fault = seed & 1 == 0 ? SimulatedStorage.Fault.failOnce : .failFromHere
    run.disk.setFault(fault, atOperation: Int.random(in: 30...500, using: &run.random))
    judge(run, "failures")
  }

  @Test("a full disk refuses new messages, and nothing else", arguments: seeds(10))
  func fullDisk(seed: UInt64) {
    let run = ServerSimulation(seed: seed, steps: 300)
    // Four busy clients write much while the disk is full, and more than a segment before that is noticed.
    run.settings.engine.reserveBytes = 512 << 10
    judge(run, "fullDisk") { step in
      if run.disk.capacityBytes < .max { run.keepUp() }
      switch step {
      case 80: run.disk.capacityBytes = run.disk.usedBytes + Int(seed % 16) << 10 + 32 << 10
      case 120: run.disk.capacityBytes = .max
      default: break
      }
    }
  }
}

/// What all runs together have met; printed when the process ends.
enum Tally {
  private static let all = Counts()

  private final class Counts: @unchecked Sendable {
    private let lock = NSLock()
    private var counts: [String: Int] = [:]

    func add(_ more: [String: Int]) {
      lock.withLock { counts.merge(more, uniquingKeysWith: +) }
      guard let path = ProcessInfo.processInfo.environment["ESCAPEMENT_TALLY"] else { return }
      let text = lock.withLock { counts }.sorted { $0.key < $1.key }.map { "\($0.key): \($0.value)\n" }.joined()
      try? text.write(toFile: path, atomically: true, encoding: .utf8)
    }
  }

  static func add(_ run: ServerSimulation) { all.add(run.shownCounts.merging(["~ runs": 1]) { $1 }) }
}
