// The index of pending messages against a dictionary, and the arithmetic of slices against its definition.

import Primitives
import SimulatedDisk
import Testing

@testable import DelayStore

@Suite("pending index")
struct PendingIndexTests {
  @Test("it holds what a dictionary holds, through growth and removal", arguments: 1...8 as ClosedRange<UInt64>)
  func model(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let index = PendingIndex()
    var model: [IDHash: MessagePlace] = [:]
    // Few shards and few homes, so that runs of neighbours form and are torn.
    let hashes = (0..<300).map { _ in
      IDHash(
        low: (random.next() % 24) << 59 | random.next() % 2,
        high: (random.next() % 3) << 52 | (random.next() % 50) << 20)
    }
    for _ in 0..<4000 {
      let hash = hashes[Int(random.next() % 300)]
      if random.next() % 5 < 3 {
        let place: MessagePlace =
          random.next() & 1 == 0
          ? .memory(UInt32(truncatingIfNeeded: random.next()))
          : .disk(
            slice: UInt32(random.next() % UInt64(PendingIndex.sliceNumberMax)),
            position: Int(random.next() % UInt64(PendingIndex.positionMax / 8)) * 8)
        index.set(hash, place)
        model[hash] = place
      } else {
        #expect(index.remove(hash) == (model.removeValue(forKey: hash) != nil))
      }
      #expect(index.find(hash) == model[hash])
    }
    #expect(index.count == model.count)
    for hash in hashes { #expect(index.find(hash) == model[hash]) }
    var found: [IDHash: MessagePlace] = [:]
    index.forEach { found[$0] = $1 }
    #expect(found == model)
  }

  /// Hashes as they are: all bits random, but those that an entry does not keep.
  private static func randomHashes(_ count: Int, _ random: inout SplitMix64) -> [IDHash] {
    (0..<count).map { _ in PendingIndex.kept(IDHash(low: random.next(), high: random.next())) }
  }

  @Test("entries that come one by one take at most 30 bytes each", arguments: [1_000_000, 1_300_000, 1_700_000])
  func memory(count: Int) {
    var random = SplitMix64(seed: UInt64(count))
    let index = PendingIndex()
    for hash in Self.randomHashes(count, &random) { index.set(hash, .memory(7)) }
    #expect(index.count == count)
    #expect(index.memoryBytes <= 30 * count)
  }

  @Test("half of many entries can go, and come back", arguments: [3, 4] as [UInt64])
  func churn(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let index = PendingIndex()
    let hashes = Self.randomHashes(200_000, &random)
    if seed == 4 { index.reserve(hashes.count) }
    for (number, hash) in hashes.enumerated() { index.set(hash, .memory(UInt32(number))) }
    for hash in hashes.prefix(100_000) { #expect(index.remove(hash)) }
    for hash in hashes.prefix(100_000) { #expect(index.find(hash) == nil) }
    for (number, hash) in hashes.enumerated().dropFirst(100_000) {
      #expect(index.find(hash) == .memory(UInt32(number)))
    }
    for hash in hashes.prefix(100_000) { index.set(hash, .disk(slice: 1, position: 8)) }
    #expect(index.count == hashes.count)
    #expect(hashes.prefix(100_000).allSatisfy { index.find($0) == .disk(slice: 1, position: 8) })
  }

  @Test("keys at the highest home are found, however many they are")
  func crowdedEnd() {
    let index = PendingIndex()
    let hashes = (0..<500).map { IDHash(low: .max - UInt64($0 % 7), high: UInt64($0) << 20) }
    for hash in hashes { index.set(hash, .memory(1)) }
    #expect(index.count == hashes.count)
    #expect(hashes.allSatisfy { index.find($0) == .memory(1) })
    for hash in hashes { #expect(index.remove(hash)) }
    #expect(hashes.allSatisfy { index.find($0) == nil })
  }
}

@Suite("slice layout")
struct SliceLayoutTests {
  @Test("a due time is in its slice, and no coarse slice covers the hand", arguments: [1, 3, 1000, 1 << 16] as [Int64])
  func slices(sliceMs: Int64) {
    var random = SplitMix64(seed: UInt64(sliceMs))
    let layout = SliceLayout(sliceMs: sliceMs)
    for _ in 0..<2000 {
      let hand = Int64(random.next() >> UInt64.random(in: 1...62, using: &random))
      let ahead = Int64(random.next() >> UInt64.random(in: 1...62, using: &random))
      let (sum, overflow) = hand.addingReportingOverflow(ahead)
      let due = overflow ? Int64.max : sum
      let key = layout.slice(dueMs: due, handMs: hand)
      #expect(layout.startMs(key) <= due)
      #expect(due < layout.endMs(key) || layout.endMs(key) == .max)
      if key.level > 0 {
        #expect(layout.startMs(key) > hand)
        // Nor would the next finer level have done: it lies in another slice of this one's width than the hand.
        #expect(key.number != hand / layout.width(key.level))
      }
      // At most as many slices ahead on a level as one slice of the next level has.
      if layout.endMs(key) != .max {
        #expect(key.number - hand / layout.width(key.level) < SliceLayout.fanOut)
      }
    }
  }
}
