// Messages that are kept back until their owner decides: what is refused, and what becomes of them when their topic goes; asked
// of the broker alone.
//
// Leaves to others: losses of power, and the questions to owners (HoldingTests).

import DataFiles
import Primitives
import SimulatedDisk
import Testing

@testable import Broker

@Suite("held messages")
struct HeldMessageTests {
  private let broker: Broker

  init() {
    let io = ManualIOQueue(storage: SimulatedStorage())
    broker = Broker(settings: BrokerSettings(), hashKey: StoreID(low: 1, high: 2), io: io)
    broker.records.reset(nextSequence: 1)
    broker.start(nowNs: 1_000_000 * TimeUnits.nsPerMs)
    broker.beginTurn(nowNs: 1_000_000 * TimeUnits.nsPerMs)
  }

  private func with<R>(_ text: String, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
    try Array(text.utf8).withUnsafeBytes(body)
  }

  private func hold(_ topic: String) throws -> GeneratedID {
    try with(topic) { topic in
      try with("1") { body in
        let parts = MessageParts(id: UnsafeRawBufferPointer(rebasing: body[..<0]), body: body)
        return try broker.hold(topic: topic, parts, owner: topic).value
      }
    }
  }

  @Test("are refused while the disk is full, and those that are there can still be decided about")
  func fullDisk() throws {
    let id = try hold("t")
    broker.isDiskFull = true
    let stop = #expect(throws: BrokerStop.self) { try hold("t") }
    guard case .refused(let refusal) = stop else { return }
    #expect(refusal.code == .diskFull && broker.gauges.held == 1)
    #expect(try with(id.text) { try broker.decide($0, .release).value } == .released(offset: 0))
  }

  @Test("go with their topic, and a later decision finds nothing")
  func deletedTopic() throws {
    let id = try hold("t")
    let other = try hold("other")
    _ = try with("t") { try broker.deleteTopic($0) }
    #expect(broker.gauges.held == 1)
    try #require(with(id.text) { broker.heldMessage(id: $0) } == nil)
    #expect(try with(id.text) { try broker.decide($0, .release).value } == .unknown)
    #expect(try with(other.text) { try broker.decide($0, .release).value } == .released(offset: 0))
  }
}
