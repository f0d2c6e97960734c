// The ring of unacknowledged deliveries beside a plain dictionary.

import SeededRandom
import Testing

@testable import RabbitMQFrontEnd

@Suite("Unacknowledged deliveries")
struct UnacknowledgedDeliveriesTests {
  /// What the ring stands for.
  private struct Model {
    var table: [UInt64: Int] = [:]
    var lastTag: UInt64 = 0

    mutating func add(_ delivery: Int?) -> UInt64 {
      lastTag += 1
      table[lastTag] = delivery
      return lastTag
    }

    mutating func removeAll(through tag: UInt64) -> [(UInt64, Int)] {
      let removed = table.filter { $0.key <= tag }.sorted { $0.key < $1.key }
      for (tag, _) in removed { table[tag] = nil }
      return removed.map { ($0.key, $0.value) }
    }
  }

  @Test("it does what a dictionary would do", arguments: 1...40 as ClosedRange<UInt64>)
  func model(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    var model = Model()
    var ring = UnacknowledgedDeliveries<Int>()
    // Few or many wait at a time, and the oldest are the first to go or the last.
    let removals = 20 + random.next(below: 60)
    let reach = 1 + random.next(below: seed % 2 == 0 ? 8 : 5000)
    var taken: [(UInt64, Int)] = []
    for step in 0..<20_000 {
      let kind = random.next(below: 100)
      let tag = model.lastTag - min(model.lastTag, random.next(below: reach))
      switch kind {
      case ..<removals:
        let removed = ring.remove(tag)
        #expect(removed == model.table.removeValue(forKey: tag), "step \(step)")
        if let removed { taken.append((tag, removed)) }
      case 98 where random.next(below: 20) == 0:
        let removed = ring.removeAll(through: tag)
        let expected = model.removeAll(through: tag)
        #expect(removed.map(\.tag) == expected.map(\.0) && removed.map(\.delivery) == expected.map(\.1), "step \(step)")
      case 99:
        // A transaction is rolled back.
        for (tag, delivery) in taken.suffix(5) {
          ring.restore(tag, delivery)
          model.table[tag] = delivery
        }
        taken = []
      default:
        let delivery = random.next(below: 10) == 0 ? nil : step
        let tag = delivery.map { ring.add($0) } ?? ring.addAcknowledged()
        #expect(tag == model.add(delivery), "step \(step)")
      }
      #expect(ring.count == model.table.count, "step \(step)")
    }
    let rest = ring.removeAll(through: ring.lastTag)
    #expect(rest.map(\.tag) == model.removeAll(through: model.lastTag).map(\.0))
    #expect(ring.count == 0)
  }

  @Test("a delivery that stays while a million pass does not keep their places")
  func straggler() {
    var ring = UnacknowledgedDeliveries<Int>()
    let straggler = ring.add(-1)
    for number in 0..<1_000_000 { #expect(ring.remove(ring.add(number)) == number) }
    #expect(ring.ringPlaces <= 4096)
    #expect(ring.remove(straggler) == -1)
  }
}
