// The set of offsets against a Set, and through a checkpoint; lengths of JSON strings.

import SeededRandom
import Testing

@testable import Broker

@Suite("Offset set")
struct OffsetSetTests {
  @Test("agrees with a set of integers, and comes back from a checkpoint", arguments: UInt64(1)...16)
  func agreesWithSet(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    var offsets = OffsetSet()
    var model: Set<UInt64> = []
    // Runs fill whole pages, so that full ones come and go too.
    for _ in 0..<60 {
      let start = random.next() % 20_000
      let isInsert = random.next() % 3 > 0
      switch random.next() % 4 {
      case 0:
        let next = offsets.removeRun(from: start)
        #expect((start..<next).allSatisfy { model.remove($0) != nil } && !model.contains(next), "seed \(seed)")
      case 1:
        let range = start..<start + random.next() % 9_000
        offsets.remove(in: range)
        model = model.filter { !range.contains($0) }
      case 2:
        let range = start..<start + random.next() % 9_000
        #expect(offsets.contains(all: range) == range.allSatisfy(model.contains), "seed \(seed)")
      default: break
      }
      for offset in start..<start + random.next() % 6_000 {
        if isInsert {
          #expect(offsets.insert(offset) == model.insert(offset).inserted, "seed \(seed)")
        } else {
          #expect(offsets.remove(offset) == (model.remove(offset) != nil), "seed \(seed)")
        }
      }
      #expect(offsets.count == model.count, "seed \(seed)")
    }
    var writer = StateWriter()
    offsets.write(to: &writer)
    var reader = StateReader(writer.bytes[...])
    let read = try OffsetSet(&reader)
    #expect(offsets.offsets == model.sorted(), "seed \(seed)")
    #expect(read.offsets == model.sorted() && read.count == model.count, "seed \(seed)")
  }
}
