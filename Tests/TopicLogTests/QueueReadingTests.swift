// Queues of a topic against one array each: offsets without gaps, reading in any order, trimming, recovery.

import DataFiles
import Primitives
import SimulatedDisk
import Testing

@testable import TopicLog

/// A log whose messages are spread over queues, with an array for each queue.
private final class QueuesUnderTest {
  let test: LogUnderTest
  /// Numbers of the messages by queue, trimmed ones included.
  var model: [[Int]]
  var count = 0

  init(_ test: LogUnderTest = LogUnderTest(), queues: Int) {
    self.test = test
    model = Array(repeating: [], count: queues)
  }

  func append(to queue: Int, length: Int) {
    let text = Array("\(count)".utf8)
    let padding = [UInt8](repeating: 0x2E, count: length)
    text.withUnsafeBytes { id in
      padding.withUnsafeBytes { body in
        var parts = MessageParts(id: id, body: body)
        parts.queue = UInt8(queue)
        _ = test.log.append(parts, dueMs: 0, releasedMs: Int64(count))
      }
    }
    model[queue].append(count)
    count += 1
  }

  /// The number of the next message of a queue; nil at its end.
  func read(_ cursor: inout QueueCursor) -> Int? {
    while true {
      switch test.log.read(&cursor) {
      case .record(let record):
        cursor.pass(record)
        return Int(String(decoding: record.id, as: UTF8.self))
      case .loading: #expect(test.io.drain() == nil)
      case .trimmed:
        let first = test.log.offsets(ofQueue: cursor.queue).lowerBound
        #expect(first > cursor.offset)
        cursor = QueueCursor(queue: cursor.queue, offset: first)
      case .lost(let record): cursor.pass(record)
      case .end, .forgotten: return nil
      }
    }
  }

  func offset(inQueue queue: Int, atOrAfter offset: TopicOffset) -> UInt64 {
    while true {
      if let found = test.log.offset(inQueue: UInt8(queue), atOrAfter: offset) { return found }
      #expect(test.io.drain() == nil)
    }
  }

  func check() {
    let first = Int(test.log.firstOffset)
    for (queue, numbers) in model.enumerated() {
      let offsets = test.log.offsets(ofQueue: UInt8(queue))
      #expect(offsets.upperBound == UInt64(numbers.count), "queue \(queue)")
      #expect(offsets.lowerBound == UInt64(numbers.count { $0 < first }), "queue \(queue)")
      var cursor = QueueCursor(queue: UInt8(queue), offset: offsets.lowerBound)
      for offset in offsets { #expect(read(&cursor) == numbers[Int(offset)], "offset \(offset) of queue \(queue)") }
      #expect(read(&cursor) == nil)
    }
  }
}

@Suite("queues of a topic")
struct QueueReadingTests {
  @Test("they read as arrays do, from memory and from disk", arguments: 1...20 as ClosedRange<UInt64>)
  func model(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let queues = 1 + Int(random.next() % 5)
    let all = QueuesUnderTest(queues: queues)
    var cursors = (0..<queues).map { QueueCursor(queue: UInt8($0), offset: 0) }
    for _ in 0..<400 {
      all.test.cache.evict()
      switch random.next() % 12 {
      case 0..<7:
        // Rarely one of the others, so that many chunks have none of it.
        let queue = random.next() % 4 == 0 ? Int(random.next() % UInt64(queues)) : 0
        all.append(to: queue, length: Int.random(in: 1...80, using: &random))
      case 7, 8:
        let queue = Int(random.next() % UInt64(queues))
        let offsets = all.test.log.offsets(ofQueue: UInt8(queue))
        if cursors[queue].offset < offsets.lowerBound {
          cursors[queue] = QueueCursor(queue: UInt8(queue), offset: offsets.lowerBound)
        }
        let offset = Int(cursors[queue].offset)
        #expect(
          all.read(&cursors[queue]) == (offset < all.model[queue].count ? all.model[queue][offset] : nil))
      case 9:
        let queue = Int(random.next() % UInt64(queues))
        let offsets = all.test.log.offsets(ofQueue: UInt8(queue))
        guard let offset = offsets.randomElement(using: &random) else { continue }
        var cursor = QueueCursor(queue: UInt8(queue), offset: offset)
        #expect(all.read(&cursor) == all.model[queue][Int(offset)])
        let place = TopicOffset(all.model[queue][Int(offset)])
        #expect(all.offset(inQueue: queue, atOrAfter: place) == offset)
        #expect(all.offset(inQueue: queue, atOrAfter: place + 1) == offset + 1)
      case 10:
        if random.next() % 4 == 0 {
          all.test.log.trim(to: all.test.log.trimTarget(olderThanMs: 0, bytesMax: 9000))
        }
      default: _ = all.test.io.drain()
      }
    }
    all.check()
  }

  @Test(
    "a checkpoint is taken up again with the same offsets, with index files, without them and with bad ones",
    arguments: 1...24 as ClosedRange<UInt64>)
  func recovers(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let all = QueuesUnderTest(queues: 4)
    // At first some topics have one queue, as those of older versions do.
    for _ in 0..<Int(random.next() % 60) { all.append(to: 0, length: 40) }
    for _ in 0..<Int(random.next() % 200) { all.append(to: Int(random.next() % 4), length: 40) }
    if seed % 3 == 0 { all.test.log.trim(to: all.test.log.trimTarget(olderThanMs: 0, bytesMax: 4000)) }
    if seed % 7 == 0 { all.test.log.trim(to: all.test.log.nextOffset) }
    var unsynced: [String] = []
    let states = all.test.log.checkpoint(unsynced: &unsynced)
    let log = all.test.log
    let (next, first, lastMs, counts) = (
      log.nextOffset, log.firstOffset, log.lastReleasedMs, log.queueCountsOfFirstSegment
    )
    #expect(all.test.io.drain() == nil)
    let disk = all.test.disk.copy()
    for path in disk.paths where path.hasSuffix(".index") {
      switch random.next() % 3 {
      case 0: try disk.remove(path)
      case 1: disk.flip(bit: 1, of: path, at: (disk.contents(path)?.count ?? 1) - 1)
      default: break
      }
    }
    let again = QueuesUnderTest(LogUnderTest(disk: disk, firstOffset: first), queues: 4)
    try again.test.log.recover(
      states, nextOffset: next, lastReleasedMs: lastMs, queueCounts: counts, files: OpenFiles(storage: disk))
    again.model = all.model
    again.count = all.count
    again.check()
    for _ in 0..<60 { again.append(to: Int(random.next() % 4), length: 30) }
    again.check()
  }
}
