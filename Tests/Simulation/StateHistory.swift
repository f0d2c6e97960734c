// What the running broker held after each record, to be compared with what a start makes of the disk: live, replayed and
// recovered state are the same.
//
// Holds: a digest covers everything that a checkpoint holds. A start whose journal ends with the last record of a turn must find
// the state at the end of that turn; one that ends within a turn's records has nothing to be compared with.
// Leaves to others: what is in a digest (the broker's rooms).

import Broker
import Primitives
import SimulatedDisk

/// The digests at the ends of the latest turns.
struct StateHistory {
  private static let turnsMax = 64
  private var turns: [(sequence: Sequence, nowMs: UnixMs, digest: [String])] = []
  /// Whether parts of the journal were ever left out: then state may contradict itself, as that two messages of one key are out.
  private var isSalvaged = false
  /// How many starts were compared.
  private(set) var comparisons = 0

  /// Notes the state at the end of a turn.
  mutating func note(_ broker: Broker, _ disk: SimulatedStorage) {
    guard broker.failure == nil, !disk.hasCrashed, !isSalvaged else { return }
    broker.checkInvariants()
    let sequence = broker.records.lastSequence
    if turns.last?.sequence == sequence { turns.removeLast() }
    if turns.count == Self.turnsMax { turns.removeFirst() }
    turns.append((sequence, broker.nowMs, broker.digest(asOf: broker.nowMs, reading: disk.peek)))
  }

  /// The state at the end of the turn whose last record this was; nil when that is too long ago, or was no end.
  func turn(endingWith sequence: Sequence) -> (nowMs: UnixMs, digest: [String])? {
    turns.last { $0.sequence == sequence }.map { ($0.nowMs, $0.digest) }
  }

  /// What a start found otherwise than the running broker left it; empty when nothing, or when there is nothing to compare.
  mutating func differences(_ machine: SimulatedMachine, _ disk: SimulatedStorage) -> [String] {
    isSalvaged = isSalvaged || !machine.engine.recovery.log.lost.isEmpty
    if isSalvaged { return [] }
    machine.broker.checkInvariants()
    let last = machine.engine.recovery.log.nextSequence - 1
    // What comes after it did not happen.
    turns.removeAll { $0.sequence > last }
    guard let turn = turns.last(where: { $0.sequence == last }) else { return [] }
    comparisons += 1
    let found = machine.broker.digest(asOf: turn.nowMs, reading: disk.peek)
    return Self.differences(live: turn.digest, started: found)
  }

  /// The lines that only one of the two has; empty for equal lists.
  static func differences(live: [String], started: [String]) -> [String] {
    let before = Set(live)
    let after = Set(started)
    return live.filter { !after.contains($0) }.map { "only before the start: \($0)" }
      + started.filter { !before.contains($0) }.map { "only behind the start: \($0)" }
  }
}

extension SimulatedStorage {
  /// Bytes of a file as the process sees them. Not an operation, at which a fault could strike.
  func peek(_ path: String, at position: Int, count: Int) -> [UInt8]? {
    contents(path).map { Array($0.dropFirst(position).prefix(count)) }
  }
}
