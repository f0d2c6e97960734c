// What a release must wait for before it is told of: nothing on one machine, its record where another node may go on.

import DataFiles
import DecisionLog
import Primitives
import SimulatedDisk
import Testing

@testable import Broker

@Suite("what is told of a release") struct ReleaseGateTests {
  @Test(
    "waits for the record that accepted the message, or for the release's own",
    arguments: [(DeliveryRule.withoutOwnRecord, 2), (.afterOwnRecord, 3)] as [(DeliveryRule, Sequence)])
  func gate(rule: DeliveryRule, sequence: Sequence) throws {
    var settings = BrokerSettings()
    settings.deliveryRule = rule
    let broker = Broker(
      settings: settings, hashKey: StoreID(low: 1, high: 2), io: ManualIOQueue(storage: SimulatedStorage()))
    broker.records.reset(nextSequence: 1)
    let beginNs = 1_000_000 * TimeUnits.nsPerMs
    broker.start(nowNs: beginNs)
    broker.beginTurn(nowNs: beginNs)
    try Array("t".utf8).withUnsafeBytes { name in
      let parts = MessageParts(id: name, body: name)
      let command = ScheduleCommand(topic: name, parts: parts, due: .delay(10), connection: 1)
      // The first record makes the topic.
      #expect(try broker.schedule(command).gate == Gate(2))
      broker.endTurn()
      broker.beginTurn(nowNs: beginNs + 20 * TimeUnits.nsPerMs)
      let answer = try broker.cancel(topic: name, id: name)
      #expect(answer.value == .released && broker.records.lastSequence == 3 && answer.gate == Gate(sequence))
    }
  }
}
