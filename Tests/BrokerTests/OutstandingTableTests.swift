// The table of outstanding messages beside a dictionary.

import SeededRandom
import Testing

@testable import Broker

@Suite("outstanding messages")
struct OutstandingTableTests {
  /// Adds and removes as groups do: offsets go up, with gaps; most leave soon, some stay behind for long.
  @Test("the table holds what a dictionary holds", arguments: UInt64(1)...16)
  func agreesWithDictionary(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let table = OutstandingTable()
    var model: [UInt64: UInt32] = [:]
    var recent: [UInt64] = []
    var cursor = random.next() % 1000
    let gapMax = [1, 3, 100, 5000][Int(seed % 4)]
    for step in 0..<6000 {
      if recent.isEmpty || random.next() % 100 < (step / 1000 % 2 == 0 ? 60 : 40) {
        cursor += 1 + random.next() % UInt64(gapMax)
        var entry = Outstanding(offset: cursor)
        entry.attempts = UInt32(step)
        #expect(table.insert(entry).pointee.attempts == UInt32(step))
        model[cursor] = UInt32(step)
        recent.append(cursor)
      } else {
        // Mostly one of the newest, so that old ones are left behind.
        let reach = random.next() % 4 == 0 ? recent.count : min(recent.count, 8)
        let victim = recent.remove(at: recent.count - 1 - Int(random.next() % UInt64(reach)))
        #expect(table.remove(victim)?.attempts == model.removeValue(forKey: victim))
      }
      if step % 500 == 0 { Self.compare(table, model, cursor) }
    }
    Self.compare(table, model, cursor)
    table.removeAll()
    Self.compare(table, [:], cursor)
  }

  private static func compare(_ table: OutstandingTable, _ model: [UInt64: UInt32], _ cursor: UInt64) {
    #expect(table.count == model.count)
    var held: [UInt64: UInt32] = [:]
    table.forEach { held[$0.pointee.offset] = $0.pointee.attempts }
    #expect(held == model)
    for offset in model.keys { #expect(table.find(offset)?.pointee.offset == offset) }
    #expect(table.find(cursor + 1) == nil)
    #expect(table.remove(cursor + 1) == nil)
  }

  @Test("an offset far ahead leaves the few old ones behind instead of growing the ring")
  func farAhead() {
    let table = OutstandingTable()
    let offsets: [UInt64] = [5, 6, 1 << 40, 1 << 41, 1 << 41 + 1]
    for offset in offsets { table.insert(Outstanding(offset: offset)) }
    #expect(table.count == 5)
    #expect(table.capacity == 16)
    for offset in offsets { #expect(table.remove(offset)?.offset == offset) }
    #expect(table.count == 0)
  }
}
