// The replicated log below the tests of every log: a simulated stream, and the node that leads on it, life after life.
//
// Holds: time passes only while something is awaited of the stream, or when a test lets it pass.

import Cluster
import DecisionLog
import Primitives
import ReplicatedStream
import SimulatedStream

/// The stream, and the log of the running life.
final class Replicas {
  private let world: SimulatedWorld
  private let stream: TrueStream
  private var connection: SimulatedStream?
  private var log: ReplicatedLog?
  /// What the checkpoint would say.
  private var mark: LogMark?
  private let seed: UInt64

  /// From the second seed on the stream does what a stream may do.
  init(seed: UInt64) {
    self.seed = seed
    world = SimulatedWorld(seed: seed)
    stream = TrueStream(world, seed > 1 ? .all : StreamFaults())
  }

  /// A log that has read what there is.
  func open(_ identity: LogIdentity?) -> ReplicatedLog {
    connection?.close()
    let connection = stream.connect()
    self.connection = connection
    var settings = ReplicatedLogSettings(node: "n", address: "n:1")
    settings.truncation.keptBytes = 0
    let seed = seed
    let log = ReplicatedLog(
      connection, from: identity == nil ? nil : mark, identity: identity, settings: settings,
      ReplicatedLogSurroundings(
        clock: { [world] in world.nowNs }, serviceMs: { [world] in world.nowNs / TimeUnits.nsPerMs },
        random: { StoreID(low: seed, high: 9) }, wake: {}, notify: {}))
    self.log = log
    pump { $0.status.isCurrent }
    return log
  }

  /// Waits until the node leads.
  func lead() {
    log?.setCandidacy(mayLead: true)
    pump { if case .leading = $0.status.role { true } else { false } }
  }

  private func pump(until isDone: (ReplicatedLog) -> Bool) {
    for _ in 0..<100_000 {
      guard let log else { return }
      let next = log.turn()
      if next == .finished || isDone(log) { return }
      let untilNs: Int64 =
        switch next {
        case .now: world.nowNs
        case .after(let ns): world.nowNs + min(ns, 1000 * TimeUnits.nsPerMs)
        case .whenWoken, .finished: world.nowNs + 1000 * TimeUnits.nsPerMs
        }
      world.advance(to: min(world.nextNs ?? .max, untilNs))
    }
  }

  /// Turns until nothing is awaited of the stream.
  func settle() -> NextTurn {
    for _ in 0..<100_000 {
      guard let log, let connection else { return .finished }
      let next = log.turn()
      if next == .finished || next != .now && !connection.isWaiting { return next }
      if next != .now, let nextNs = world.nextNs { world.advance(to: nextNs) }
    }
    return .now
  }

  func pass(ms: Int64) { world.advance(to: world.nowNs + ms * TimeUnits.nsPerMs) }

  /// Lets the leader truncate the stream behind the checkpoint that holds what is up to `sequence`.
  func truncate(behind sequence: Sequence) {
    mark = log.flatMap { LogMark(decoding: $0.mark(at: sequence)) }
    let endNs = world.nowNs + 150_000 * TimeUnits.nsPerMs
    pump { _ in world.nowNs >= endNs }
  }

  /// Another node takes the leadership.
  func depose() {
    guard let log else { return }
    var writer = EntryWriter(behind: log.status.position, newEpoch: true)
    stream.store(writer.begin(EpochStart(identity: log.identity, node: "other", address: ""), serviceMs: 0))
  }

  func end() {
    connection?.close()
    log = nil
  }
}
