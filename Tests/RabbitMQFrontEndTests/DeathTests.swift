// x-death: entries, counts, order, cycles.

import LineProtocol
import Primitives
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

  @Test(
    "a cycle without a refusal is found",
    arguments: [
      ([("a", "expired")], "a", true), ([("a", "expired")], "b", false), ([("a", "rejected")], "a", false),
      ([("b", "expired"), ("a", "expired")], "a", true), ([("b", "rejected"), ("a", "expired")], "a", false),
      ([("b", "expired"), ("a", "rejected")], "a", false),
      ([("b", "expired"), ("a", "maxlen"), ("c", "rejected")], "a", true), ([], "a", false),
    ] as [([(String, String)], String, Bool)])
  func cycles(_ deaths: [(String, String)], _ queue: String, _ isCycle: Bool) {
    let entries = deaths.map { queue, reason in
      JSONTree.object([.init("queue", .string(Text(queue))), .init("reason", .string(Text(reason)))])
    }
    #expect(Death.isCycle(entries, to: Text(queue)) == isCycle)
  }
}
