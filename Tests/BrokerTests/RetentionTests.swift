// Retention by age, asked of the broker alone: what goes when, and when the broker wants to be woken for it.

import DataFiles
import Primitives
import SimulatedDisk
import Testing

@testable import Broker

@Suite("retention")
struct RetentionTests {
  /// A broker that wakes for nothing but retention, and a topic.
  private final class Shop {
    let broker: Broker
    private let io = ManualIOQueue(storage: SimulatedStorage())
    private let name = Array("topic".utf8)
    private(set) var nowMs: UnixMs = 1_000_000

    init(retentionMs: Int64) throws {
      var settings = BrokerSettings()
      settings.idWindowMs = 0
      broker = Broker(settings: settings, hashKey: StoreID(low: 1, high: 2), io: io)
      broker.records.reset(nextSequence: 1)
      broker.start(nowNs: nowMs * TimeUnits.nsPerMs)
      turn(at: nowMs)
      _ = try name.withUnsafeBytes { try broker.createTopic($0, retentionMs: retentionMs, retentionBytes: nil) }
      turn(at: nowMs)
    }

    func turn(at timeMs: UnixMs) {
      nowMs = timeMs
      broker.beginTurn(nowNs: nowMs * TimeUnits.nsPerMs)
      broker.endTurn()
      for task in io.takeFinished() { task.finished() }
    }

    func publish() throws {
      let none = UnsafeRawBufferPointer(start: nil, count: 0)
      _ = try name.withUnsafeBytes { try broker.publish(topic: $0, MessageParts(id: none, body: none)) }
      turn(at: nowMs)
    }

    /// Moves the clock to `endMs`, with a turn whenever the broker wants one on the way; gives how many.
    func passTime(to endMs: UnixMs) -> Int {
      var wakeUps = 0
      while let wakeMs = broker.nextWakeUpMs, wakeMs <= endMs {
        turn(at: max(wakeMs, nowMs))
        wakeUps += 1
        if wakeUps > 10_000 { break }
      }
      nowMs = endMs
      return wakeUps
    }

    var firstOffset: TopicOffset { broker.topicsInOrder[0].log.firstOffset }
  }

  @Test("a topic without messages wakes nobody", arguments: [1, 1_000, 60_000, .max] as [Int64])
  func emptyTopic(retentionMs: Int64) throws {
    let shop = try Shop(retentionMs: retentionMs)
    #expect(shop.broker.nextWakeUpMs == nil)
    try shop.publish()
    let wakeUps = shop.passTime(to: shop.nowMs + 10_000_000)
    #expect(wakeUps <= 2, "one to seal the segment, one to let it go")
    #expect(shop.firstOffset == (retentionMs < 10_000_000 ? 1 : 0))
    #expect(shop.broker.nextWakeUpMs == nil || retentionMs == .max)
  }

  @Test(
    "under steady traffic a message stays as long as it must, and at most about a quarter longer",
    arguments: [2_000, 8_000, 60_000] as [Int64])
  func steadyTraffic(retentionMs: Int64) throws {
    let shop = try Shop(retentionMs: retentionMs)
    var releasedMs: [UnixMs] = []
    for _ in 0..<300 {
      try shop.publish()
      releasedMs.append(shop.nowMs)
      _ = shop.passTime(to: shop.nowMs + retentionMs / 40)
      for (offset, atMs) in releasedMs.enumerated() {
        let ageMs = shop.nowMs - atMs
        let isThere = TopicOffset(offset) >= shop.firstOffset
        if ageMs < retentionMs { #expect(isThere, "message \(offset) of \(ageMs) ms") }
        // A look a second at most, one to seal and one to trim.
        if ageMs > retentionMs + max(1000, retentionMs / 4) + 2000 {
          #expect(!isThere, "message \(offset) of \(ageMs) ms")
        }
      }
    }
    #expect(shop.firstOffset > 0)
  }
}
