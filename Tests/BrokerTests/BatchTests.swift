// Batches of messages, asked of the broker alone.

import DataFiles
import Primitives
import SimulatedDisk
import Testing

@testable import Broker

@Suite("batches")
struct BatchTests {
  /// A broker with room for four messages, of which `a`, `b` and `c` are pending.
  private func brokerWithThree() throws -> Broker {
    var settings = BrokerSettings()
    settings.pendingMax = 4
    let hashKey = StoreID(low: 1, high: 2)
    let broker = Broker(settings: settings, hashKey: hashKey, io: ManualIOQueue(storage: SimulatedStorage()))
    broker.records.reset(nextSequence: 1)
    broker.start(nowNs: 1_000_000 * TimeUnits.nsPerMs)
    broker.beginTurn(nowNs: 1_000_000 * TimeUnits.nsPerMs)
    #expect(try schedule(["a", "b", "c"], .keep, broker) == [.scheduled, .scheduled, .scheduled])
    return broker
  }

  /// Schedules a batch an hour ahead; gives what became of each message. "" is an id to be made.
  private func schedule(
    _ ids: [String], _ ifExists: IfExists, _ broker: Broker
  ) throws -> [ScheduleReply.Outcome] {
    try schedule(ids.map { ($0, 3_600_000) }, ifExists, broker).map(\.outcome)
  }

  private func schedule(
    _ messages: [(id: String, delayMs: Int64)], _ ifExists: IfExists, _ broker: Broker
  ) throws -> [ScheduleReply] {
    let batch = try Array("topic".utf8).withUnsafeBytes { try broker.beginBatch(topic: $0, connection: 1) }
    for message in messages {
      try Array(message.id.utf8).withUnsafeBytes { id in
        let parts = MessageParts(id: id, body: UnsafeRawBufferPointer(start: nil, count: 0))
        try broker.add(parts, due: .delay(message.delayMs), ifExists: ifExists, to: batch)
      }
    }
    return try broker.commit(batch).value
  }

  /// A broker without messages.
  private func emptyBroker() -> Broker {
    let io = ManualIOQueue(storage: SimulatedStorage())
    let broker = Broker(settings: BrokerSettings(), hashKey: StoreID(low: 1, high: 2), io: io)
    broker.records.reset(nextSequence: 1)
    broker.start(nowNs: 1_000_000 * TimeUnits.nsPerMs)
    broker.beginTurn(nowNs: 1_000_000 * TimeUnits.nsPerMs)
    return broker
  }

  @Test(
    "what replaces or keeps a pending message needs no room",
    arguments: [
      (["a", "b", "c"], IfExists.replace, [.replaced, .replaced, .replaced]),
      (["a", "b", "c", "d", "a", "d"], .replace, [.replaced, .replaced, .replaced, .scheduled, .replaced, .replaced]),
      (["d", "a", "b", "d"], .keep, [.scheduled, .kept, .kept, .kept]),
      (["", "a"], .replace, [.scheduled, .replaced]),
    ] as [([String], IfExists, [ScheduleReply.Outcome])])
  func replacementsNeedNoRoom(ids: [String], ifExists: IfExists, outcomes: [ScheduleReply.Outcome]) throws {
    let broker = try brokerWithThree()
    #expect(try schedule(ids, ifExists, broker) == outcomes)
    #expect(broker.gauges.pending == (outcomes.contains(.scheduled) ? 4 : 3))
  }

  @Test("what is new needs room, and a batch without room for all of it is refused whole", arguments: ["e", ""])
  func newMessagesNeedRoom(last: String) throws {
    let broker = try brokerWithThree()
    #expect(throws: BrokerStop.self) { try schedule(["a", "d", last], .replace, broker) }
    #expect(broker.gauges.pending == 3)
  }

  @Test("what is kept answers with its own time, also when several lie on disk")
  func keptOnDisk() throws {
    let broker = emptyBroker()
    let messages = (1...3).map { (id: "m\($0)", delayMs: Int64($0) * 3_600_000) }
    let dueMs = try schedule(messages, .keep, broker).map(\.deliverAtMs)
    #expect(broker.gauges.onDisk == 3)
    let again = try schedule(messages.map { ($0.id, 1) }, .keep, broker)
    #expect(again.map(\.outcome) == [.kept, .kept, .kept])
    #expect(again.map(\.deliverAtMs) == dueMs)
  }

  @Test("messages of one batch that are due together are listed one page after the other", arguments: 1...5)
  func pages(limit: Int) throws {
    let broker = emptyBroker()
    let ids = (1...5).map { "m\($0)" }
    _ = try schedule(ids.map { ($0, 10) }, .keep, broker)
    var listed: [String] = []
    var after: (dueMs: UnixMs, sequence: Primitives.Sequence)?
    for _ in ids {
      let page = try Array("topic".utf8).withUnsafeBytes {
        try broker.list(
          ListCommand(topic: $0, dueMs: 0...UnixMs.max, limit: limit, after: after, connection: 1)
        ).value
      }
      for message in page.messages {
        message.bytes.withUnsafeBytes { bytes in
          listed.append(String(decoding: MessageRecord(bytes.baseAddress!).id, as: UTF8.self))
        }
        after = (message.dueMs, message.sequence)
      }
    }
    #expect(listed == ids)
  }
}
