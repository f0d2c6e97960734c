// What one topic may have pending, and what is refused while the memory is full; asked of the broker alone.

import DataFiles
import Primitives
import SimulatedDisk
import Testing

@testable import Broker

@Suite("bounds of a topic, and of memory")
struct TopicBoundsTests {
  private final class BrokerUnderTest {
    let broker: Broker
    var nowMs: UnixMs = 1_000_000

    init(_ change: (inout BrokerSettings) -> Void = { _ in }) {
      var settings = BrokerSettings()
      change(&settings)
      let hashKey = StoreID(low: 1, high: 2)
      broker = Broker(settings: settings, hashKey: hashKey, io: ManualIOQueue(storage: SimulatedStorage()))
      broker.records.reset(nextSequence: 1)
      broker.start(nowNs: nowMs * TimeUnits.nsPerMs)
      broker.beginTurn(nowNs: nowMs * TimeUnits.nsPerMs)
    }

    /// Schedules one message; gives the length of its record.
    @discardableResult
    func schedule(
      _ topic: String, _ id: String, bytes: Int, delayMs: Int64, _ ifExists: IfExists = .replace
    ) throws -> Int {
      let batch = try Array(topic.utf8).withUnsafeBytes { try broker.beginBatch(topic: $0, connection: 1) }
      let body = [UInt8](repeating: 0x31, count: bytes)
      let length = try Array(id.utf8).withUnsafeBytes { id in
        try body.withUnsafeBytes { body in
          let parts = MessageParts(id: id, body: body)
          try broker.add(parts, due: .delay(delayMs), ifExists: ifExists, to: batch)
          return parts.recordLength
        }
      }
      _ = try broker.commit(batch)
      return length
    }

    func cancel(_ topic: String, _ id: String) throws -> CancelOutcome {
      try Array(topic.utf8).withUnsafeBytes { topic in
        try Array(id.utf8).withUnsafeBytes { try broker.cancel(topic: topic, id: $0).value }
      }
    }

    /// Lets time pass, and releases what is due.
    func pass(ms: Int64) {
      broker.endTurn()
      nowMs += ms
      broker.beginTurn(nowNs: nowMs * TimeUnits.nsPerMs)
    }

    func topic(_ name: String) throws -> Topic {
      try #require(Array(name.utf8).withUnsafeBytes { broker.findTopic($0) })
    }
  }

  private static func code(_ body: () throws -> Void) -> BrokerRefusal.Code? {
    do {
      try body()
      return nil
    } catch {
      guard case BrokerStop.refused(let refusal) = error else { return nil }
      return refusal.code
    }
  }

  @Test(
    "the bytes of a topic's pending messages are those of the model", arguments: 1...8 as ClosedRange<UInt64>)
  func bytes(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let test = BrokerUnderTest()
    var model: [String: (dueMs: UnixMs, bytes: Int)] = [:]
    try test.schedule("t", "first", bytes: 0, delayMs: 0)
    test.pass(ms: 1)
    for _ in 0..<400 {
      let id = "m\(random.next() % 30)"
      switch random.next() % 4 {
      case 0, 1:
        let delayMs = Int64(random.next() % 500) + 1
        // An id that was released lately is not scheduled again.
        let wasPending = model[id] != nil
        let before = try test.topic("t").pendingCount
        let length = try test.schedule("t", id, bytes: Int(random.next() % 1000), delayMs: delayMs)
        if try wasPending || test.topic("t").pendingCount > before { model[id] = (test.nowMs + delayMs, length) }
      case 2:
        // One that was cancelled lately is told so again.
        let outcome = try test.cancel("t", id)
        if model.removeValue(forKey: id) != nil { #expect(outcome == .cancelled) }
      default:
        test.pass(ms: Int64(random.next() % 100))
        model = model.filter { $0.value.dueMs > test.nowMs }
      }
      let topic = try test.topic("t")
      #expect(topic.pendingCount == model.count, "seed \(seed)")
      #expect(topic.pendingBytes == model.values.reduce(0) { $0 + $1.bytes }, "seed \(seed)")
    }
  }

  @Test("far messages that are withdrawn count as the average, and none is left when the last has gone")
  func farBytes() throws {
    let test = BrokerUnderTest()
    let hourMs: Int64 = 3_600_000
    var sum = 0
    for number in 0..<10 { sum += try test.schedule("t", "m\(number)", bytes: number * 100, delayMs: hourMs) }
    #expect(try test.topic("t").pendingBytes == sum)
    _ = try test.cancel("t", "m9")
    #expect(try test.topic("t").pendingBytes == sum - sum / 10)
    for number in 0..<9 { _ = try test.cancel("t", "m\(number)") }
    #expect(try test.topic("t").pendingCount == 0 && test.topic("t").pendingBytes == 0)
  }

  @Test("a topic's messages and bytes are bounded, and those of others are not")
  func bounds() throws {
    let test = BrokerUnderTest {
      $0.topicPendingMax = 2
      $0.topicPendingBytesMax = 2000
    }
    try test.schedule("t", "a", bytes: 500, delayMs: 1000)
    try test.schedule("t", "b", bytes: 500, delayMs: 1000)
    #expect(Self.code { try test.schedule("t", "c", bytes: 1, delayMs: 1000) } == .limitExceeded)
    #expect(Self.code { try test.schedule("t", "b", bytes: 600, delayMs: 1000) } == nil)
    #expect(Self.code { try test.schedule("t", "b", bytes: 1900, delayMs: 1000) } == .limitExceeded)
    #expect(Self.code { try test.schedule("t", "b", bytes: 1900, delayMs: 1000, .keep) } == nil)
    #expect(Self.code { try test.schedule("new", "a", bytes: 2100, delayMs: 1000) } == .limitExceeded)
    #expect(Self.code { try test.schedule("other", "a", bytes: 1500, delayMs: 1000) } == nil)
    _ = try test.cancel("t", "a")
    #expect(Self.code { try test.schedule("t", "c", bytes: 1, delayMs: 1000) } == nil)
  }

  @Test("while the memory is full new messages are refused, and all else goes on")
  func memory() throws {
    let test = BrokerUnderTest()
    try test.schedule("t", "a", bytes: 100, delayMs: 10)
    try test.schedule("t", "b", bytes: 100, delayMs: 10)
    let before = test.broker.memoryBytes
    test.broker.isMemoryFull = true
    #expect(test.broker.refusesMessages)
    #expect(Self.code { try test.schedule("t", "c", bytes: 1, delayMs: 1000) } == .busy)
    #expect(try test.cancel("t", "a") == .cancelled)
    test.pass(ms: 20)
    #expect(try test.topic("t").log.nextOffset == 1)
    test.broker.isMemoryFull = false
    #expect(Self.code { try test.schedule("t", "c", bytes: 1, delayMs: 1000) } == nil)
    #expect(before > 2 * 156)
  }
}
