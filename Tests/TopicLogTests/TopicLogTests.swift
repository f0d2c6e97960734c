// A topic log against an array: appends, reads from disk and memory, trimming, recovery.

import DataFiles
import Primitives
import SimulatedDisk
import Testing

@testable import TopicLog

/// A log over a simulated disk with its model.
final class LogUnderTest {
  let disk: SimulatedStorage
  let io: ManualIOQueue
  let cache = ChunkCache(bytesMax: 5000)
  let log: TopicLog
  /// Bodies by offset, trimmed ones included.
  var model: [String] = []
  /// Offsets of segments that were forgotten.
  var forgotten: Set<TopicOffset> = []

  init(disk: SimulatedStorage = SimulatedStorage(), firstOffset: TopicOffset = 0) {
    self.disk = disk
    io = ManualIOQueue(storage: disk)
    log = TopicLog(topic: 7, firstOffset: firstOffset, segmentBytes: 2000, cache: cache, io: io)
  }

  func append(_ length: Int, releasedMs: UnixMs) {
    let body = String(repeating: "\(model.count % 10)", count: length)
    let offset = Array(body.utf8).withUnsafeBytes { bytes in
      log.append(MessageParts(id: bytes, body: bytes), dueMs: 0, releasedMs: releasedMs)
    }
    #expect(offset == TopicOffset(model.count))
    model.append(body)
  }

  /// Reads on from a cursor, running disk work when the log asks for it.
  func read(_ cursor: inout TopicCursor) -> String? {
    while true {
      switch log.read(&cursor) {
      case .record(let record):
        cursor.pass(record)
        return String(decoding: record.body, as: UTF8.self)
      case .loading:
        guard !io.isIdle, io.drain() == nil else {
          Issue.record("offset \(cursor.offset) cannot be read")
          return nil
        }
      case .end, .trimmed, .lost: return nil
      case .forgotten(let next):
        #expect(next > cursor.offset && (cursor.offset..<next).allSatisfy(forgotten.contains))
        return nil
      }
    }
  }

  func check() {
    var cursor = TopicCursor(offset: log.firstOffset)
    for offset in Int(log.firstOffset)..<model.count {
      let isForgotten = forgotten.contains(TopicOffset(offset))
      #expect(read(&cursor) == (isForgotten ? nil : model[offset]), "offset \(offset)")
      if isForgotten { cursor = TopicCursor(offset: TopicOffset(offset) + 1) }
    }
    #expect(log.nextOffset == TopicOffset(model.count))
  }
}

@Suite("topic log")
struct TopicLogTests {
  @Test("it reads as an array does, from memory and from disk", arguments: 1...10 as ClosedRange<UInt64>)
  func model(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let test = LogUnderTest()
    var nowMs: UnixMs = 0
    var cursor = TopicCursor(offset: 0)
    for _ in 0..<300 {
      nowMs += Int64(random.next() % 3)
      test.cache.evict()
      switch random.next() % 10 {
      case 0..<6:
        test.append(Int.random(in: 1...60, using: &random) * (random.next() % 40 == 0 ? 60 : 1), releasedMs: nowMs)
      case 6:
        let offset = TopicOffset(random.next() % UInt64(test.model.count + 1))
        var jumped = TopicCursor(offset: offset)
        let isThere =
          offset >= test.log.firstOffset && offset < test.log.nextOffset && !test.forgotten.contains(offset)
        #expect(test.read(&jumped) == (isThere ? test.model[Int(offset)] : nil))
      case 7:
        if cursor.offset < test.log.firstOffset { cursor = TopicCursor(offset: test.log.firstOffset) }
        while test.forgotten.contains(cursor.offset) { cursor = TopicCursor(offset: cursor.offset + 1) }
        let offset = Int(cursor.offset)
        #expect(test.read(&cursor) == (offset < test.model.count ? test.model[offset] : nil))
      case 8:
        if random.next() % 6 == 0 {
          test.log.forgetSegments { range in
            let isFinished = random.next() % 4 == 0
            if isFinished { test.forgotten.formUnion(range) }
            return isFinished
          }
        }
        if random.next() % 6 == 0 { test.log.trim(to: test.log.trimTarget(olderThanMs: nowMs - 60, bytesMax: 9000)) }
      default: _ = test.io.drain()
      }
    }
    test.check()
  }

  @Test("a time finds the first message released then or later", arguments: 1...4 as ClosedRange<UInt64>)
  func time(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let test = LogUnderTest()
    var times: [UnixMs] = []
    for _ in 0..<200 {
      times.append((times.last ?? 100) + Int64(random.next() % 3))
      test.append(20, releasedMs: times[times.count - 1])
    }
    for timeMs in 90...(times.last! + 5) {
      var found = test.log.offset(atOrAfterMs: timeMs)
      if found == nil {
        _ = test.io.drain()
        found = test.log.offset(atOrAfterMs: timeMs)
      }
      #expect(found == TopicOffset(times.firstIndex { $0 >= timeMs } ?? times.count))
      test.cache.evict()
    }
  }

  @Test("a checkpoint is taken up again, and appends go on behind it", arguments: 1...10 as ClosedRange<UInt64>)
  func recovers(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let test = LogUnderTest()
    for place in 0..<Int(random.next() % 120) {
      test.append(Int.random(in: 1...80, using: &random), releasedMs: Int64(place))
    }
    if seed & 1 == 0 { test.log.trim(to: test.log.trimTarget(olderThanMs: 0, bytesMax: 4000)) }
    test.log.forgetSegments { range in
      let isFinished = random.next() & 1 == 0
      if isFinished { test.forgotten.formUnion(range) }
      return isFinished
    }
    var unsynced: [String] = []
    let states = test.log.checkpoint(unsynced: &unsynced)
    let count = test.model.count
    let (next, first, lastMs) = (test.log.nextOffset, test.log.firstOffset, test.log.lastReleasedMs)
    for _ in 0..<30 { test.append(30, releasedMs: 1000) }
    _ = test.log.checkpoint(unsynced: &unsynced)
    #expect(test.io.drain() == nil)

    let again = LogUnderTest(disk: test.disk.copy(), firstOffset: first)
    try again.log.recover(states, nextOffset: next, lastReleasedMs: lastMs, files: OpenFiles(storage: again.disk))
    again.model = Array(test.model.prefix(count))
    again.forgotten = test.forgotten
    again.check()
    for _ in 0..<30 { again.append(25, releasedMs: 2000) }
    again.check()
  }

  @Test("a part of a segment that is trimmed takes nothing from the rest of it", arguments: [1, 30, 100, 199])
  func trimsWithinASegment(offset: TopicOffset) throws {
    let test = LogUnderTest()
    for place in 0..<200 { test.append(60, releasedMs: Int64(place)) }
    #expect(test.log.segmentCount > 2 && test.io.drain() == nil)
    // Most of it lies on disk only.
    for _ in 0..<3 { test.cache.evict() }
    test.log.trim(to: offset)
    #expect(test.log.firstOffset == offset)
    #expect(test.io.drain() == nil)
    for path in test.log.takeObsolete() { try test.disk.remove(path) }
    test.check()
  }

  @Test("a topic keeps its age over a start: what was released lately is not trimmed as old")
  func ageOverAStart() throws {
    let test = LogUnderTest()
    for place in 0..<5 { test.append(60, releasedMs: 1000 + Int64(place)) }
    var unsynced: [String] = []
    let states = test.log.checkpoint(unsynced: &unsynced)
    #expect(test.io.drain() == nil)
    let again = LogUnderTest(disk: test.disk)
    try again.log.recover(
      states, nextOffset: 5, lastReleasedMs: test.log.lastReleasedMs, files: OpenFiles(storage: again.disk))
    #expect(again.log.oldestSegmentEndMs == 1004)
    #expect(again.log.trimTarget(olderThanMs: 1004, bytesMax: .max) == 0)
    #expect(again.log.trimTarget(olderThanMs: 1005, bytesMax: .max) == 5)
  }

  @Test("a read that comes back after its topic was deleted has no effect")
  func deletedWhileReading() {
    let test = LogUnderTest()
    for _ in 0..<200 { test.append(60, releasedMs: 1) }
    #expect(test.io.drain() == nil)
    for _ in 0..<3 { test.cache.evict() }
    var cursor = TopicCursor(offset: 0)
    guard case .loading = test.log.read(&cursor) else {
      Issue.record("the first chunk is in memory still")
      return
    }
    test.log.chunkLoaded = { Issue.record("somebody was told") }
    for path in test.log.allPaths() { try? test.disk.remove(path) }
    test.log.dropMemory()
    test.io.runAll()
    for task in test.io.takeFinished() { #expect(task.failure == nil || task.canIgnoreFailure()) }
    #expect(test.cache.bytes == 0)
  }
}
