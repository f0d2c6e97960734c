// The RocketMQ front end over the engine, without connections: one sentence of docs/rocketmq.md a test.
//
// Leaves to others: rules by themselves (RocketMQFrontEndTests), JSON lines and connections (EndToEnd), loss of power
// (HoldingTests).

import Broker
import Foundation
import LineProtocol
import Primitives
import RocketMQFrontEnd
import SimulatedDisk
import Testing

@Suite("the RocketMQ front end")
struct RocketMQTests {
  /// A server's front end that is asked directly, by connections that are numbers.
  private final class Run: PowerCutRun {
    private var front: RocketMQFrontEnd!
    private var sessions: [UInt64: RocketMQSession] = [:]
    private var consumers: [UInt64: [Consumer]] = [:]
    /// Events of deliveries that came to each connection.
    var events: [UInt64: [[String: Any]]] = [:]

    static func started() -> Run {
      let run = Run(seed: 1, crashAt: nil)
      run.checkpointBytes = 1 << 20
      run.run(turns: 0)
      return run
    }

    override func opened() { front = RocketMQFrontEnd(broker) }

    override func received(_ delivery: Delivery) {
      let connection = delivery.consumer.connection
      guard let session = sessions[connection] else { return }
      var out = ByteBuffer()
      front.write(delivery, session, to: &out)
      events[connection, default: []].append(Self.object(out))
    }

    private static func object(_ out: borrowing ByteBuffer) -> [String: Any] {
      (try? JSONSerialization.jsonObject(with: Data(out.readable))) as? [String: Any] ?? [:]
    }

    /// One operation by itself, and everything that it leads to.
    @discardableResult
    func ask(_ connection: UInt64, _ operation: String, _ fields: String) throws -> [String: Any] {
      var reply: [String: Any] = [:]
      var failure: (any Error)?
      turn {
        do { reply = try perform(connection, operation, fields) } catch { failure = error }
      }
      settle()
      if let failure { throw failure }
      return reply
    }

    private func perform(_ connection: UInt64, _ operation: String, _ fields: String) throws -> [String: Any] {
      let session = sessions[connection] ?? RocketMQSession()
      sessions[connection] = session
      var out = ByteBuffer()
      let reader = RequestReader()
      try Array("{\(fields)}".utf8).withUnsafeBytes { line in
        try reader.parse(line)
        let call = RocketMQCall(reader, session, connection: connection)
        switch operation {
        case "send": _ = try front.send(call, to: &out)
        case "recall": _ = try front.recall(call, to: &out)
        case "subscribe":
          let sub = Int64(consumers[connection]?.count ?? 0) + 1
          consumers[connection, default: []].append(try front.subscribe(call, sub: sub, to: &out).value)
        case "ack": _ = try front.acknowledge(call, to: &out)
        case "sendBack": _ = try front.sendBack(call, to: &out)
        case "sendHalf": _ = try front.sendHalf(call, to: &out)
        case "registerProducer": _ = try front.registerProducer(call, to: &out)
        default: preconditionFailure("no operation \(operation)")
        }
      }
      return Self.object(out)
    }

    /// The connection is gone.
    func close(_ connection: UInt64) {
      turn {
        for consumer in consumers.removeValue(forKey: connection) ?? [] { broker.remove(consumer) }
        if let session = sessions.removeValue(forKey: connection) { front.end(session, connection: connection) }
      }
      settle()
    }

    func pass(ms: Int64) {
      time.nowNs += ms * TimeUnits.nsPerMs
      turn()
      settle()
    }

    private func settle() {
      for _ in 0..<4 {
        turn()
        rest(turns: 1, ms: 0)
      }
    }

    /// Which connection is asked about a half message that is due for it in the next turn; nil for none.
    func asked(afterMs: Int64) -> UInt64? {
      time.nowNs += afterMs * TimeUnits.nsPerMs
      turn()
      let numbers = broker.effects.compactMap { effect -> HeldNumber? in
        if case .notice(.heldCheck(let number)) = effect { number } else { nil }
      }
      return numbers.first.flatMap { front.producerToAsk(about: $0) }
    }

    func bodies(_ connection: UInt64) -> [String] { (events[connection] ?? []).map { "\($0["body"] ?? "")" } }
  }

  @Test("a handle recalls a message of its topic, and no other")
  func recall() throws {
    let run = Run.started()
    let sent = try run.ask(1, "send", #""topic":"a","body":"1","delayTimeSec":60"#)
    let handle = try #require(sent["recallHandle"] as? String)
    #expect(throws: RocketMQStop.self) { try run.ask(1, "recall", #""topic":"b","recallHandle":"\#(handle)""#) }
    let recalled = try run.ask(1, "recall", #""topic":"a","recallHandle":"\#(handle)""#)
    #expect(recalled["outcome"] as? String == "cancelled" && run.complaints == [])
  }

  @Test("a retry comes whatever its tag, also when the group asks for others by then")
  func retries() throws {
    let run = Run.started()
    try run.ask(1, "subscribe", #""topic":"t","consumerGroup":"g","subExpression":"A""#)
    try run.ask(2, "send", #""topic":"t","body":"1","tags":"A""#)
    let first = try #require(run.events[1]?.first)
    try run.ask(1, "sendBack", "\"sub\":1,\"msgId\":\"\(first["msgId"]!)\",\"delayLevel\":1")
    run.close(1)
    try run.ask(3, "subscribe", #""topic":"t","consumerGroup":"g","subExpression":"B""#)
    for _ in 0..<3 { run.pass(ms: 1000) }
    #expect(run.bodies(3) == ["1"])
    #expect(run.events[3]?.first?["reconsumeTimes"] as? Int == 1 && run.complaints == [])
  }

  @Test("a topic and the retries of its group share one credit")
  func sharedCredit() throws {
    let run = Run.started()
    try run.ask(1, "subscribe", #""topic":"t","consumerGroup":"g","credit":2"#)
    try run.ask(2, "send", #""topic":"t","body":"retried""#)
    let first = try #require(run.events[1]?.first)
    try run.ask(1, "sendBack", "\"sub\":1,\"msgId\":\"\(first["msgId"]!)\",\"delayLevel\":1")
    for _ in 0..<2 { run.pass(ms: 1000) }
    for body in ["2", "3"] { try run.ask(2, "send", "\"topic\":\"t\",\"body\":\"\(body)\"") }
    // One of each is in hand, which makes two.
    #expect(run.bodies(1) == ["retried", "retried", "2"])
    let retried = try #require(run.events[1]?[1])
    try run.ask(1, "ack", "\"sub\":1,\"msgId\":\"\(retried["msgId"]!)\"")
    #expect(run.bodies(1) == ["retried", "retried", "2", "3"] && run.complaints == [])
  }

  @Test("messages of one sharding key come one at a time, others beside them")
  func shardingKeys() throws {
    let run = Run.started()
    for (body, key) in [("1", "k"), ("2", "k"), ("3", "l")] {
      try run.ask(2, "send", "\"topic\":\"t\",\"body\":\"\(body)\",\"shardingKey\":\"\(key)\"")
    }
    try run.ask(1, "subscribe", #""topic":"t","consumerGroup":"g","credit":10"#)
    #expect(run.bodies(1) == ["1", "3"])
    let first = try #require(run.events[1]?.first)
    try run.ask(1, "ack", "\"sub\":1,\"msgId\":\"\(first["msgId"]!)\"")
    #expect(run.bodies(1) == ["1", "3", "2"] && run.complaints == [])
  }

  @Test(
    "a message whose consumers die is delivered 17 times, or once more than its retries, then it is a dead letter",
    arguments: [(nil, 17), (3, 17), (20, 21)] as [(Int?, Int)])
  func lostDeliveries(retriesMax: Int?, deliveries: Int) throws {
    let run = Run.started()
    try run.ask(1000, "send", #""topic":"t","body":"1""#)
    let more = retriesMax.map { ",\"maxReconsumeTimes\":\($0)" } ?? ""
    for connection in 1...25 as ClosedRange<UInt64> {
      try run.ask(connection, "subscribe", #""topic":"t","consumerGroup":"g""# + more)
      run.close(connection)
    }
    #expect(run.events.values.reduce(0) { $0 + $1.count } == deliveries)
    try run.ask(30, "subscribe", #""topic":"%DLQ%g","consumerGroup":"undertaker""#)
    #expect(run.bodies(30) == ["1"] && run.complaints == [])
  }

  @Test("live producers of a group are asked about its half messages in turn, those that are gone are not")
  func producers() throws {
    let run = Run.started()
    for connection in [1, 2, 3] as [UInt64] { try run.ask(connection, "registerProducer", #""producerGroup":"p""#) }
    try run.ask(9, "sendHalf", #""topic":"t","body":"1","producerGroup":"p""#)
    #expect([7_000, 30_000, 30_000, 30_000].map { run.asked(afterMs: $0) } == [1, 2, 3, 1])
    run.close(2)
    #expect([30_000, 30_000, 30_000].map { run.asked(afterMs: $0) } == [3, 1, 3])
    run.close(1)
    run.close(3)
    #expect(run.asked(afterMs: 30_000) == nil && run.complaints == [])
  }
}
