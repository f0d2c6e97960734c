// The machine or the process stops at every operation, or the disk fails there, again and again: what was synced is there,
// dense and true, and nothing else.

import DecisionLog
import Journal
import Primitives
import SimulatedDisk
import TestSeeds
import Testing

/// How a life of a store ends.
enum Ending: UInt64, CaseIterable, Sendable {
  /// What was not synced is there in part.
  case lossOfPower
  /// What was not synced is read as if it were there, and may be lost later.
  case endOfProcess
  /// An operation fails, and what it should have synced never gets to the disk though it is read; the process ends.
  case failure
}

/// One store through many lifetimes; beside it what the store must remember.
struct Lifetimes {
  var storage: SimulatedStorage
  var random: SplitMix64
  var lifetime: UInt8 = 0
  /// What was written last under each sequence, from 1.
  var written: [Record] = []
  /// Records up to here were reported durable.
  var durable: Sequence = 0
  /// Records before this are in a checkpoint.
  var firstNeeded: Sequence = 1
  /// Times an old segment became a new one.
  var recycled = 0
  /// Whether the last life ended in order.
  var endedInOrder = true
  /// Operations of the last life.
  var operations = 0

  /// Whether all frames have the same length as a mark, so that stale ones lie just where new ones are expected.
  let isUniform: Bool

  init(seed: UInt64) {
    isUniform = seed % 2 == 1
    storage = SimulatedStorage(seed: seed)
    random = SplitMix64(seed: seed &* 31 &+ 7)
  }

  /// Starts, checks what is there, writes until the disk stops.
  mutating func live(
    until operation: Int, _ ending: Ending = .lossOfPower, batchesMax: Int = 40
  ) throws {
    lifetime += 1
    storage.setFault(ending == .failure ? .failOnce : .crash, atOperation: operation)
    storage.keepLog()
    let (records, report) = try recover(storage, from: firstNeeded)
    let known = Array(written.dropFirst(Int(firstNeeded) - 1).prefix(records.count))
    #expect(records == known, "what is read is what was written last")
    #expect(report.nextSequence > durable, "what was synced is there")
    #expect(report.nextSequence == firstNeeded + Sequence(records.count))
    #expect(!endedInOrder || report.tornTail == nil, "an orderly end leaves nothing to cut")
    endedInOrder = false
    written.removeLast(written.count - Int(report.nextSequence - 1))
    try? write(batchesMax: batchesMax)
    recycled += storage.log.count { $0.contains(" journal/recycled-") && $0.contains(".wal") }
    operations = storage.operations
    if ending == .lossOfPower { storage = storage.crash(seed: random.next()) } else { storage.restartProcess() }
  }

  private mutating func write(batchesMax: Int) throws {
    let log = try openLog(storage, from: firstNeeded)
    durable = log.durableSequence
    for _ in 0..<batchesMax {
      for _ in 0...random.next() % 2 {
        let buffer = log.takeBuffer()
        for _ in 0...random.next() % 6 {
          var record = randomRecord(buffer.nextSequence, lifetime: lifetime, &random)
          if isUniform { record.payload = [lifetime] + [UInt8](repeating: record.kind, count: 15) }
          buffer.append(record)
          written.append(record)
        }
        log.submit(buffer, mustSync: random.next() % 4 != 0)
      }
      if random.next() % 6 == 0 {
        // Only what is durable can be in a checkpoint.
        firstNeeded = max(firstNeeded, log.durableSequence)
        log.release(upTo: firstNeeded - 1)
      }
      var turns = 0
      while case .now = log.turn(), turns < 3 { turns += 1 }
      durable = max(durable, log.durableSequence)
      if let failure = log.failure { throw failure }
    }
    log.stop()
    while case .now = log.turn() {}
    durable = max(durable, log.durableSequence)
    endedInOrder = log.failure == nil
  }
}

@Suite struct CrashTests {
  // Four runs with seeds of their own share the operations among them.
  @Test("an end of each kind at every operation of a first life, and a loss of power in a second", arguments: 1...4)
  func everyOperation(seed: Int) throws {
    var whole = Lifetimes(seed: UInt64(seed))
    try whole.live(until: .max, batchesMax: 12)
    for operation in stride(from: seed, through: whole.operations, by: 4) {
      for ending in Ending.allCases {
        var store = Lifetimes(seed: UInt64(seed))
        try store.live(until: operation, ending, batchesMax: 12)
        try store.live(until: operation / 2 + 1, batchesMax: 6)
        try store.live(until: .max, batchesMax: 2)
        try store.live(until: 1)
      }
    }
  }

  @Test("many lives with ends of all kinds at random operations", arguments: Seeds.some(24))
  func randomLives(seed: UInt64) throws {
    var store = Lifetimes(seed: seed)
    var last = SplitMix64(seed: seed)
    for _ in 0..<7 {
      try store.live(until: Int(last.next() % 120) + 1, Ending(rawValue: last.next() % 3)!)
    }
    try store.live(until: 1)
    try store.live(until: 1)
  }

  @Test("segments do get recycled in these tests")
  func recycles() throws {
    var store = Lifetimes(seed: 6)
    for _ in 0..<3 { try store.live(until: .max) }
    #expect(store.recycled > 0)
  }
}
