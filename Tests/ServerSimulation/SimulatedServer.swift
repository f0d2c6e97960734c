// A process of the server over a simulated disk, network and clock. Its threads run when the simulation says so.

import DataFiles
import DecisionLog
import Engine
import Journal
import Primitives
import SeededRandom
import SimulatedDisk

@testable import Server

extension ManualIOQueue: LoopIOQueue {}

/// A running process.
final class SimulatedServer {
  let server: Server
  let io: ManualIOQueue
  let network: SimulatedNetwork
  private let alarm: Alarm
  private var isLogDone = false

  init(
    disk: SimulatedStorage, settings: ServerSettings, network: SimulatedNetwork, time: SimulatedTime, alarm: Alarm,
    seed: UInt64
  ) throws {
    let io = ManualIOQueue(storage: disk)
    self.io = io
    self.network = network
    self.alarm = alarm
    var random = SplitMix64(seed: seed)
    let parts = EngineSurroundings(storage: disk, io: io) { identity throws(LogError) in
      try JournalLog(
        disk, identity: identity, settings: settings.journal,
        random: { StoreID(low: random.next(), high: random.next()) }, clock: { time.nowNs }, wake: {},
        notify: { alarm.raise() })
    }
    do {
      let engine = try Engine.open(parts, settings.engine, nowNs: time.nowNs)
      let log = engine.log
      let surroundings = Surroundings(
        network: network, clock: time, io: io, engine: engine, waitForLog: { _ = log.turn() },
        endLog: {
          log.stop()
          while log.turn() != .finished {}
        }, endIO: {})
      server = try Server(settings, surroundings, log: { _, _, _ in })
    } catch {
      io.abandon()
      throw error
    }
  }

  /// Whether the store has stopped.
  var hasFailed: Bool { server.broker.failure != nil }

  /// Whether the other threads have nothing to do.
  var isIdle: Bool { io.isIdle && server.engine.log.settledSequence >= server.broker.records.lastSequence }

  /// One of the other threads gets a little further; false when it has nothing to do.
  @discardableResult
  func run(thread: Int) -> Bool {
    let ran: Bool =
      switch thread {
      case 0: io.runOne(lane: 0)
      case 1: io.runOne(lane: 1)
      default: turnLog()
      }
    if ran { alarm.raise() }
    return ran
  }

  private func turnLog() -> Bool {
    if isLogDone { return false }
    switch server.engine.log.turn() {
    case .now: return true
    case .after, .whenWoken: return false
    case .finished:
      isLogDone = true
      return false
    }
  }
}
