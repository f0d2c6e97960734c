// What the delay store shows of slices on disk, and how far ahead of time it has them in memory.

import DataFiles
import Primitives
import SimulatedDisk
import Testing

@testable import DelayStore

@Suite("reading slices")
struct ReadingTests {
  /// All pages of a listing, of `limit` messages each.
  private func pages(_ test: StoreUnderTest, slice: UInt32, limit: Int) -> [String] {
    var request = SliceListRequest(
      topic: 1, dueMs: 0 ... .max, afterDueMs: -1, afterSequence: 0, limit: limit)
    var ids: [String] = []
    while ids.count < 1000 {
      var page: [SliceListEntry]?
      test.store.list(slice: slice, request) { page = $0 }
      #expect(test.io.drain() == nil)
      guard let page else {
        Issue.record("the listing has an answer")
        return ids
      }
      #expect(page.count <= limit)
      for entry in page {
        ids.append(entry.bytes.withUnsafeBytes { String(decoding: MessageRecord($0.baseAddress!).id, as: UTF8.self) })
      }
      guard page.count == limit, let last = page.last else { return ids }
      request.afterDueMs = last.dueMs
      request.afterSequence = last.sequence
    }
    return ids
  }

  @Test("pages show every message that is pending, each once, in due order", arguments: 1...8 as ClosedRange<UInt64>)
  func listing(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let test = StoreUnderTest()
    var order: [String: Sequence] = [:]
    // Two slices, few due times: many messages share one.
    for number in 0..<60 {
      #expect(test.insert("m\(number)", dueMs: 5_000_500 + Int64.random(in: 0..<200, using: &random) / 20 * 20))
      order["m\(number)"] = test.sequence
    }
    for number in 0..<60 where random.next() % 3 != 0 { test.remove("m\(number)") }
    let expected = test.pending.sorted { ($0.value, order[$0.key]!) < ($1.value, order[$1.key]!) }.map(\.key)
    let slices = test.store.slicesOnDisk(fromMs: 0).map(\.number)
    for limit in [1, 2, 7, 100] {
      #expect(slices.flatMap { pages(test, slice: $0, limit: limit) } == expected, "seed \(seed), limit \(limit)")
    }
  }

  @Test("a damaged message is not shown")
  func damaged() throws {
    let test = StoreUnderTest()
    #expect(test.insert("a message with a long name", dueMs: 5_000_950))
    var unsynced: [String] = []
    let states = test.store.checkpoint(watermarkMs: 0, unsynced: &unsynced)
    test.io.runAll()
    let again = StoreUnderTest(disk: test.disk.copy(), nowMs: nil)
    try again.store.recover(states, routedMs: test.store.routedMs, files: OpenFiles(storage: again.disk)) { _ in true }
    let place = again.store.index.find(StoreUnderTest.hash("a message with a long name"))
    guard case .disk(let slice, let position)? = place else {
      Issue.record("the message lies on disk")
      return
    }
    again.disk.flip(bit: 3, of: states[0].path, at: position + MessageRecord.headerLength + 5)
    #expect(again.store.read(slice: slice, position: position) { _ in Issue.record("it is shown") } == nil)
    again.io.runAll()
    #expect(again.io.takeFinished().map(\.failure?.kind) == [.damaged])
  }

  @Test(
    "with a disk that keeps up, what is due within the next slice is in memory", arguments: 1...4 as ClosedRange<UInt64>
  )
  func ahead(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let test = StoreUnderTest()
    for number in 0..<100 {
      _ = test.insert("m\(number)", dueMs: 5_000_300 + Int64.random(in: 0...100_000, using: &random))
    }
    for nowMs in stride(from: 5_000_000 as Int64, to: 5_101_000, by: 37) {
      test.store.advance(nowMs: nowMs)
      while !test.io.isIdle {
        #expect(test.io.drain() == nil)
        test.store.advance(nowMs: nowMs)
      }
      #expect(test.store.loadedMs >= nowMs + test.store.layout.sliceMs, "at \(nowMs), seed \(seed)")
    }
    #expect(test.owner.near.count == test.pending.count)
  }

  @Test("whoever wakes only when the store says so has each slice in memory a slice ahead", arguments: [3, 40, 900])
  func wakesInTime(slices: Int64) {
    let test = StoreUnderTest()
    let dueMs = 5_000_000 + slices * 100 + 50
    #expect(test.insert("far", dueMs: dueMs))
    var nowMs: UnixMs = 5_000_000
    for _ in 0..<20 {
      guard let wakeMs = test.store.nextWakeUpMs, test.owner.near.isEmpty else { break }
      #expect(wakeMs >= nowMs)
      nowMs = max(nowMs, wakeMs)
      test.store.advance(nowMs: nowMs)
      while !test.io.isIdle {
        #expect(test.io.drain() == nil)
        test.store.advance(nowMs: nowMs)
      }
    }
    #expect(test.owner.near.count == 1)
    #expect(nowMs <= dueMs - 50 - 100, "the slice begins at \(dueMs - 50)")
  }
}
