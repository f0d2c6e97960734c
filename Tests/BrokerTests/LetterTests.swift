// How the letters of one message are shared out among records.

import DataFiles
import Primitives
import SimulatedDisk
import Testing

@testable import Broker

@Suite("letters")
struct LetterTests {
  private func queue() throws -> Group {
    let io = ManualIOQueue(storage: SimulatedStorage())
    let broker = Broker(settings: BrokerSettings(), hashKey: StoreID(low: 1, high: 2), io: io)
    broker.records.reset(nextSequence: 1)
    broker.start(nowNs: TimeUnits.nsPerMs)
    broker.beginTurn(nowNs: TimeUnits.nsPerMs)
    return try broker.makeQueue("queue")
  }

  @Test(
    "a record holds all letters, but for what is too much for it",
    arguments: [
      ([(1, 1)], [[1]]), ([(1, 2), (5, 3)], [[2, 3]]), ([(1, 0)], []), ([], []), ([(21, 1), (1, 2)], [[2]]),
      ([(6, 1), (6, 1), (6, 1), (6, 1), (6, 1)], [[1, 1, 1], [1, 1]]), ([(1, 2500)], [[1000], [1000], [500]]),
      ([(1, 600), (1, 600)], [[600], [600]]), ([(1, 600), (1, 400), (1, 1)], [[600, 400], [1]]),
      ([(15, 1000)], [[1000]]),
    ] as [([(mebibytes: Int, targets: Int)], [[Int]])])
  func batches(letters: [(mebibytes: Int, targets: Int)], targets: [[Int]]) throws {
    let target = QueueTarget(try queue(), timeToLiveMs: nil)
    let all = letters.map { letter in
      Letter(
        headers: Array(repeating: 0, count: letter.mebibytes << 20), tag: [],
        targets: Array(repeating: target, count: letter.targets))
    }
    let body = UnsafeRawBufferPointer(start: nil, count: 0)
    let batches = Letter.batches(all, of: MessageParts(id: body, body: body))
    #expect(batches.map { $0.map(\.targets.count) } == targets)
  }
}
