// x-death: entries, counts, order, cycles.

import AMQPProtocol
import LineProtocol
import Primitives
import SeededRandom
import Testing

@testable import RabbitMQFrontEnd

@Suite("Deaths")
struct DeathTests {
  static func envelope(_ properties: String) throws -> Envelope {
    let reader = RequestReader()
    let line = Array("{\"properties\":\(properties)}".utf8)
    return try line.withUnsafeBytes { bytes in
      try reader.parse(bytes)
      return Envelope(exchange: "orders", routingKey: "k", json: try reader.object(.properties)!)
    }
  }

  static func shown(_ envelope: Envelope) -> String {
    var out = ByteBuffer()
    out.append("{")
    envelope.writeFields(to: &out)
    out.append("}")
    return String(decoding: out.readable, as: UTF8.self)
  }

  @Test("the first death, to the byte")
  func first() throws {
    var envelope = try Self.envelope(#"{"expiration":"5","headers":{"n":1.50},"messageId":"\u0041"}"#)
    Death(queue: "q", reason: "expired", timeS: 7).note(in: &envelope)
    #expect(
      Self.shown(envelope) == """
        {"exchange":"orders","routingKey":"k","properties":{"messageId":"\\u0041","headers":{"n":1.50,"x-death":\
        [{"count":1,"reason":"expired","queue":"q","time":7,"exchange":"orders","routing-keys":["k"],\
        "original-expiration":"5"}],"x-first-death-reason":"expired","x-first-death-queue":"q",\
        "x-first-death-exchange":"orders","x-last-death-reason":"expired","x-last-death-queue":"q",\
        "x-last-death-exchange":"orders"}}}
        """)
  }

  @Test("again from the same queue for the same reason: counted, to the front, the first fields kept")
  func again() throws {
    var envelope = try Self.envelope("{}")
    for (queue, reason, time) in [("a", "expired", 1), ("b", "rejected", 2), ("a", "maxlen", 3), ("a", "expired", 4)] {
      Death(queue: Text(queue), reason: Text(reason), timeS: Int64(time)).note(in: &envelope)
    }
    let deaths = Death.deaths(envelope)
    #expect(deaths.map { $0["queue"] } == [.string("a"), .string("a"), .string("b")])
    #expect(deaths.map { $0["reason"] } == [.string("expired"), .string("maxlen"), .string("rejected")])
    #expect(deaths.map { $0["count"] } == [.integer(2), .integer(1), .integer(1)])
    #expect(deaths.map { $0["time"] } == [.timestamp(1), .timestamp(3), .timestamp(2)])
    #expect(envelope.value(header: "x-first-death-queue") == .string("a"))
    #expect(envelope.value(header: "x-last-death-reason") == .string("expired"))
  }

  @Test("an x-death of another shape does no harm", arguments: ["5", "[5,null]", "[{\"count\":\"x\"}]", "{\"a\":1}"])
  func foreign(_ value: String) throws {
    var envelope = try Self.envelope("{\"headers\":{\"x-death\":\(value)}}")
    Death(queue: "q", reason: "expired", timeS: 1).note(in: &envelope)
    #expect(Death.deaths(envelope)[0]["queue"] == .string("q"))
  }

  /// The same message in either form.
  static func both(_ headers: [FieldEntry]) throws -> (json: Envelope, amqp: Envelope) {
    var table = ByteBuffer()
    table.append(fields: headers)
    var basic = BasicProperties()
    basic.headers = FieldTable(table.readable)
    let text = JSONTree.object(JSONTree.members(FieldTable(table.readable))).shown
    defer { withExtendedLifetime(table) {} }
    return (
      try envelope("{\"headers\":\(text)}"), Envelope(exchange: "orders", routingKey: "k", amqp: basic)
    )
  }

  @Test("fields of AMQP say the same as the tree, whatever died where", arguments: 0..<64 as Range<UInt64>)
  func fields(seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let given: [[FieldEntry]] = [
      [], [FieldEntry("x-death", .int32(5))], [FieldEntry("x-death", .array([.int32(5), .void]))],
      [FieldEntry("x-death", .array([.table([FieldEntry("count", .text("x"))])]))],
      [
        FieldEntry("n", .int8(1)),
        FieldEntry(
          "x-death", .array([.table([FieldEntry("queue", .text("a")), FieldEntry("reason", .text("expired"))])])),
      ],
      [
        FieldEntry(
          "x-death",
          .array([
            .table([
              FieldEntry("count", .int32(7)), FieldEntry("reason", .text("rejected")), FieldEntry("queue", .text("b")),
            ])
          ]))
      ],
    ]
    var (json, amqp) = try Self.both(given[Int(random.next(below: UInt64(given.count)))])
    for time in 0..<12 {
      let queue = Text(["a", "b", "c", "d"][Int(random.next(below: 4))])
      let reason = Text(["expired", "rejected", "maxlen"][Int(random.next(below: 3))])
      let death = Death(queue: queue, reason: reason, timeS: Int64(time))
      death.note(in: &json)
      death.note(in: &amqp)
      #expect(Self.shown(amqp) == Self.shown(json))
      for queue in ["a", "b", "c", "d", "e"] as [Text] {
        #expect(Death.isCycle(amqp, to: queue) == Death.isCycle(json, to: queue))
      }
    }
  }

  @Test(
    "a cycle without a refusal is found",
    arguments: [
      ([("a", "expired")], "a", true), ([("a", "expired")], "b", false), ([("a", "rejected")], "a", false),
      ([("b", "expired"), ("a", "expired")], "a", true), ([("b", "rejected"), ("a", "expired")], "a", false),
      ([("b", "expired"), ("a", "rejected")], "a", false),
      ([("b", "expired"), ("a", "maxlen"), ("c", "rejected")], "a", true), ([], "a", false),
    ] as [([(String, String)], String, Bool)])
  func cycles(_ deaths: [(String, String)], _ queue: String, _ isCycle: Bool) throws {
    let entries = deaths.map { queue, reason in
      FieldValue.table([FieldEntry("queue", .text(queue)), FieldEntry("reason", .text(reason))])
    }
    let (json, amqp) = try Self.both([FieldEntry("x-death", .array(entries))])
    #expect(Death.isCycle(json, to: Text(queue)) == isCycle)
    #expect(Death.isCycle(amqp, to: Text(queue)) == isCycle)
  }
}
