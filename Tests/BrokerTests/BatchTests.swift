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
    let batch = try Array("topic".utf8).withUnsafeBytes { try broker.beginBatch(topic: $0, connection: 1) }
    for id in ids {
      try Array(id.utf8).withUnsafeBytes { id in
        let parts = MessageParts(id: id, body: UnsafeRawBufferPointer(start: nil, count: 0))
        try broker.add(parts, due: .delay(3_600_000), ifExists: ifExists, to: batch)
      }
    }
    return try broker.commit(batch).value.map(\.outcome)
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
}
