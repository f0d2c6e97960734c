// The broker's own tables against dictionaries.

import DataFiles
import Primitives
import SimulatedDisk
import Testing

@testable import Broker

@Suite("tables")
struct TableTests {
  @Test("the heap gives the least offset", arguments: 1...4 as ClosedRange<UInt64>)
  func heap(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var heap = RankHeap()
    var model: [TopicOffset] = []
    for _ in 0..<1000 {
      if random.next() % 3 > 0 {
        let offset = random.next() % 500
        heap.insert(offset)
        model.append(offset)
        model.sort()
      } else if !model.isEmpty {
        heap.removeFirst()
        model.removeFirst()
      }
      #expect(heap.first == model.first)
    }
  }

  @Test(
    "an id is remembered for the window, not longer, and across a checkpoint", arguments: 1...6 as ClosedRange<UInt64>)
  func settled(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let disk = SimulatedStorage()
    let io = ManualIOQueue(storage: disk)
    let table = RecentOutcomes(windowMs: 8000, io: io)
    var model: [IDHash: RecentOutcome] = [:]
    let hashes = (0..<80).map { _ in IDHash(low: random.next() % 20, high: random.next() % 3 << 52 | random.next() % 9)
    }
    var nowMs: UnixMs = 1_000_000
    func check(_ table: RecentOutcomes) {
      for hash in hashes {
        #expect(table.find(hash, nowMs: nowMs) == model[hash].flatMap { nowMs - $0.atMs < 8000 ? $0 : nil })
      }
    }
    for _ in 0..<400 {
      nowMs += Int64(random.next() % 200)
      let isReleased = random.next() & 1 == 0
      let fate: RecentOutcome.Fate =
        isReleased ? .released(offset: random.next() % 1000, dueMs: nowMs - Int64(random.next() % 999)) : .cancelled
      let hash = hashes[Int(random.next() % 80)]
      table.set(hash, RecentOutcome(atMs: nowMs, fate: fate))
      model[hash] = RecentOutcome(atMs: nowMs, fate: fate)
      if random.next() % 4 == 0 { table.sweep(nowMs: nowMs) }
    }
    check(table)
    var unsynced: [String] = []
    let states = table.checkpoint(nowMs: nowMs, unsynced: &unsynced)
    // Behind the checkpoint: cut off again.
    table.set(hashes[0], RecentOutcome(atMs: nowMs, fate: .cancelled))
    _ = table.checkpoint(nowMs: nowMs, unsynced: &unsynced)
    #expect(io.drain() == nil)
    let again = RecentOutcomes(windowMs: 8000, io: io)
    try again.recover(states.map { ($0.bucket, $0.length) }, files: OpenFiles(storage: disk))
    check(again)
    nowMs += 8000
    check(again)
    for _ in 0..<70 { again.sweep(nowMs: nowMs) }
    #expect(again.count == 0)
  }

  @Test("a file of outcomes stays until its newest one is out of the window", arguments: [0, 1, 900] as [Int64])
  func newestDecides(laterMs: Int64) throws {
    let disk = SimulatedStorage()
    let io = ManualIOQueue(storage: disk)
    let table = RecentOutcomes(windowMs: 8000, io: io)
    let hash = IDHash(low: 2, high: 0)
    table.set(IDHash(low: 1, high: 0), RecentOutcome(atMs: 1_000_000, fate: .cancelled))
    table.set(hash, RecentOutcome(atMs: 1_000_000 + laterMs, fate: .cancelled))
    var unsynced: [String] = []
    for nowMs in [1_000_000 + laterMs + 4000, 1_000_000 + laterMs + 7999] {
      let states = table.checkpoint(nowMs: nowMs, unsynced: &unsynced)
      #expect(io.drain() == nil)
      let again = RecentOutcomes(windowMs: 8000, io: io)
      try again.recover(states, files: OpenFiles(storage: disk))
      #expect(again.find(hash, nowMs: nowMs)?.fate == .cancelled)
    }
    #expect(table.checkpoint(nowMs: 1_000_000 + laterMs + 8000, unsynced: &unsynced).isEmpty)
  }

  @Test("a start refuses a file of outcomes with a damaged byte rather than answer from it", arguments: 0..<32)
  func damagedOutcome(byte: Int) throws {
    let disk = SimulatedStorage()
    let io = ManualIOQueue(storage: disk)
    let table = RecentOutcomes(windowMs: 8000, io: io)
    for id in 0..<3 as Range<UInt64> {
      table.set(IDHash(low: id, high: id), RecentOutcome(atMs: 1_000_000, fate: .released(offset: id, dueMs: 999_990)))
    }
    var unsynced: [String] = []
    let states = table.checkpoint(nowMs: 1_000_000, unsynced: &unsynced)
    #expect(io.drain() == nil)
    disk.flip(bit: byte % 8, of: RecentOutcomes.path(states[0].bucket), at: RecentOutcomes.entryBytes + byte)
    let error = #expect(throws: StorageError.self) {
      try RecentOutcomes(windowMs: 8000, io: io).recover(states, files: OpenFiles(storage: disk))
    }
    #expect(error?.kind == .damaged)
  }

  @Test(
    "a start with another window forgets no id that is in it, and drops every file that is out of it",
    arguments: [8_000, 16_000, 80_000, 300] as [Int64], [8_000, 16_000, 80_000, 300] as [Int64])
  func windowChanges(firstMs: Int64, secondMs: Int64) throws {
    let disk = SimulatedStorage()
    let io = ManualIOQueue(storage: disk)
    var states: [(bucket: Int64, length: Int)] = []
    func save(_ table: RecentOutcomes, _ nowMs: UnixMs) throws {
      var unsynced: [String] = []
      states = table.checkpoint(nowMs: nowMs, unsynced: &unsynced)
      #expect(io.drain() == nil)
      // A bucket that went before anything of it was written has no file.
      for path in table.takeObsolete() where disk.paths.contains(path) { try disk.remove(path) }
    }
    func restart(windowMs: Int64) throws -> RecentOutcomes {
      let table = RecentOutcomes(windowMs: windowMs, io: io)
      try table.recover(states, files: OpenFiles(storage: disk))
      return table
    }
    var nowMs: UnixMs = 1_000_000_000
    let first = RecentOutcomes(windowMs: firstMs, io: io)
    var settledAt: [UInt64: UnixMs] = [:]
    func settle(_ id: UInt64, in table: RecentOutcomes) {
      table.set(IDHash(low: id, high: 0), RecentOutcome(atMs: nowMs, fate: .cancelled))
      settledAt[id] = nowMs
    }
    func check(_ table: RecentOutcomes, rememberedMs: Int64) {
      for (id, atMs) in settledAt where nowMs - atMs < rememberedMs {
        #expect(table.find(IDHash(low: id, high: 0), nowMs: nowMs)?.atMs == atMs)
      }
      for (id, atMs) in settledAt where nowMs - atMs >= table.windowMs {
        #expect(table.find(IDHash(low: id, high: 0), nowMs: nowMs) == nil)
      }
    }
    for id in 0..<200 as Range<UInt64> {
      nowMs += 100
      settle(id, in: first)
    }
    try save(first, nowMs)
    // Twice, because the first start's own checkpoint decides what the second one finds.
    for _ in 1...2 {
      let table = try restart(windowMs: secondMs)
      check(table, rememberedMs: min(firstMs, secondMs))
      nowMs += 100
      settle(7, in: table)
      try save(table, nowMs)
    }
    nowMs += secondMs
    try save(try restart(windowMs: secondMs), nowMs)
    #expect(states.isEmpty && disk.paths.filter { $0.hasPrefix("settled/") }.isEmpty)
  }

  @Test("a growing file reads as what was appended, written or not", arguments: 1...8 as ClosedRange<UInt64>)
  func appendFile(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let disk = SimulatedStorage()
    let io = ManualIOQueue(storage: disk)
    let file = AppendFile(path: "folder/file", length: 0, chunkBytesMax: 8192, io: io)
    var model: [UInt8] = []
    var starts: [(at: Int, count: Int)] = []
    for _ in 0..<200 {
      let count = Int.random(in: 1...40, using: &random) * (random.next() % 30 == 0 ? 300 : 8)
      let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      file.append(count).copyMemory(from: bytes, byteCount: count)
      starts.append((model.count, count))
      model += bytes
      switch random.next() % 6 {
      case 0: file.flush()
      case 1: io.runOne(lane: 0)
      case 2: for task in io.takeFinished() { task.finished() }
      case 3 where random.next() % 4 == 0: file.seal()
      case 4:
        // All of it is on disk before anything is appended again.
        file.flush()
        #expect(io.drain() == nil)
      default: break
      }
      #expect(file.length == model.count)
      #expect((disk.contents("folder/file") ?? []).count >= file.writtenLength)
      let (at, length) = starts[Int(random.next() % UInt64(starts.count))]
      if let unwritten = file.unwrittenBytes(at: at, count: length) {
        #expect(unwritten.elementsEqual(model[at..<at + length]))
      } else {
        #expect(at + length <= file.writtenLength)
      }
    }
    var unsynced: [String] = []
    #expect(file.checkpoint(unsynced: &unsynced) == model.count && unsynced == ["folder/file"])
    #expect(io.drain() == nil)
    #expect(disk.contents("folder/file") == model)
    #expect(file.checkpoint(unsynced: &unsynced) == model.count && unsynced.count == 1)
  }
}
