// The index file: a store that is taken up with it is the one that was left, and a file that does not fit is not used.

import DataFiles
import DelayStore
import Primitives
import SimulatedDisk
import Testing

@Suite("index file")
struct IndexFileTests {
  /// A store that was left in order: its checkpoint, its index file and what was pending.
  private struct Left {
    let test: StoreUnderTest
    let states: [DelayStore.SliceState]
    let counts = [PendingCount(topic: 1, messages: 4, bytes: 5), PendingCount(topic: 9, messages: 0, bytes: 0)]
    static let stamp = IndexStamp(sequence: 77, checksum: 123)

    static let nearCount = 3

    init(seed: UInt64, blockBytes: Int = IndexFile.blockBytes) throws {
      var random = SplitMix64(seed: seed)
      test = StoreUnderTest()
      for _ in 0..<800 {
        let id = "m\(random.next() % 500)"
        if test.pending[id] != nil { test.remove(id) }
        let ahead = Int64(1) << Int64.random(in: 10...30, using: &random)
        if random.next() % 3 != 0 {
          _ = test.insert(id, dueMs: 5_000_300 + Int64.random(in: 0...ahead, using: &random))
        }
      }
      for number in 0..<Self.nearCount { test.insertNear("near \(number)", dueMs: 5_000_150) }
      var unsynced: [String] = []
      states = test.store.checkpoint(watermarkMs: 0, unsynced: &unsynced)
      test.io.runAll()
      try test.store.writeIndexFile(Self.stamp, counts: counts, blockBytes: blockBytes, storage: test.disk)
    }

    /// Takes the store up again; gives what the index file said, and checks that all is there.
    func takenUp(
      stamp: IndexStamp = stamp, after change: (SimulatedStorage) throws -> Void = { _ in }
    ) throws -> (counts: [PendingCount]?, recordsRead: Int) {
      let again = StoreUnderTest(disk: test.disk.copy(), nowMs: nil)
      try change(again.disk)
      var counts: [PendingCount]?
      var recordsRead = 0
      try again.store.recover(
        states, routedMs: test.store.routedMs, files: OpenFiles(storage: again.disk), stamp: stamp,
        counted: { counts = $0 },
        isPending: { _ in
          recordsRead += 1
          return true
        })
      again.pending = test.pending
      again.check(nowMs: 5_000_000)
      return (counts, recordsRead)
    }
  }

  @Test("with the file only those messages are read that are near", arguments: 1...6 as ClosedRange<UInt64>)
  func fits(seed: UInt64) throws {
    for blockBytes in [1, 100, IndexFile.blockBytes] {
      let left = try Left(seed: seed, blockBytes: blockBytes)
      let found = try left.takenUp()
      #expect(found.counts == left.counts)
      #expect(found.recordsRead == Left.nearCount)
    }
  }

  @Test("the file of another checkpoint is not used")
  func strange() throws {
    let left = try Left(seed: 1)
    for stamp in [IndexStamp(sequence: 78, checksum: 123), IndexStamp(sequence: 77, checksum: 124)] {
      let found = try left.takenUp(stamp: stamp)
      #expect(found.counts == nil)
      #expect(found.recordsRead == left.test.pending.count)
    }
  }

  @Test("a file that is cut or has a bad byte is not used", arguments: 1...60 as ClosedRange<UInt64>)
  func damaged(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let left = try Left(seed: 2, blockBytes: seed % 2 == 0 ? 300 : IndexFile.blockBytes)
    let found = try left.takenUp { disk in
      let file = try disk.open(IndexFile.path, create: false)
      let size = try disk.size(file)
      if seed % 3 == 0 {
        try disk.truncate(file, to: Int.random(in: 0..<size, using: &random))
      } else {
        disk.flip(
          bit: Int.random(in: 0...7, using: &random), of: IndexFile.path, at: Int.random(in: 0..<size, using: &random))
      }
    }
    #expect(found.counts == nil)
    #expect(found.recordsRead == left.test.pending.count)
  }
}
