// Subscriptions: order, acknowledgements, ends.

import Foundation
import Synchronization
import Testing

@testable import EscapementClient

@Suite("subscriptions", .timeLimit(.minutes(1)))
struct SubscriptionTests {
  /// Sends `count` messages to whoever subscribes.
  private func pushingServer(_ count: Int, body: String = "null") -> FakeServer {
    FakeServer { line, connection in
      switch line.op {
      case "subscribe":
        connection.send(line.ok("\"sub\":3"))
        for offset in 0..<count { connection.send(event(sub: 3, offset: offset, id: "m\(offset)", body: body)) }
      case "unsubscribe": connection.send(line.ok())
      default: break
      }
    }
  }

  @Test("messages come in order, and acknowledgements are gathered: none is lost, few lines are needed")
  func acks() async throws {
    let server = pushingServer(100)
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    let subscription = try await client.subscribe(topic: "t", group: "g")
    var offsets: [UInt64] = []
    for try await delivery in subscription {
      offsets.append(delivery.offset)
      delivery.ack()
      if offsets.count == 100 { break }
    }
    #expect(offsets == Array(0..<100))
    // The reply to flush vouches for all of them.
    try await subscription.flush()
    let lines = server.received("ack")
    #expect(lines.flatMap { $0.fields["offsets"]!.elements.map { $0.offset! } } == offsets)
    #expect(lines.allSatisfy { $0.text("group") == "g" && $0.text("acks") == "none" })
    await client.close()
  }

  @Test("nack and touch say what they mean")
  func nackAndTouch() async throws {
    let server = pushingServer(2)
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    let subscription = try await client.subscribe(topic: "t", group: "g")
    var messages = subscription.makeAsyncIterator()
    try await messages.next()?.touch()
    try await messages.next()?.nack(delayMs: 250)
    try await subscription.flush()
    #expect(server.received("touch").first?.fields["offsets"]?.elements.map(\.int) == [0])
    #expect(server.received("nack").first?.fields["offsets"]?.elements.map(\.int) == [1])
    #expect(server.received("nack").first?.fields["delayMs"]?.int == 250)
    await client.close()
  }

  @Test(
    "a body is handed over byte for byte",
    arguments: ["1.000000000000000000010", "{\"b\": 1,\t\"a\":[ ]}", "\"\\u00e9\\ud83d\\ude00\"", "-0", "1E400"])
  func bodies(_ body: String) async throws {
    let server = pushingServer(1, body: body)
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    let subscription = try await client.subscribe(topic: "t", group: "g")
    var messages = subscription.makeAsyncIterator()
    #expect(try await messages.next().map { String(decoding: $0.body, as: UTF8.self) } == body)
    await client.close()
  }

  @Test("a body decodes into a type")
  func decoding() async throws {
    struct Order: Codable, Equatable { var number: Int }
    let server = pushingServer(1, body: "{\"number\":4711}")
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    let subscription = try await client.subscribe(topic: "t")
    var messages = subscription.makeAsyncIterator()
    let delivery = try await messages.next()
    #expect(try delivery?.decode(Order.self) == Order(number: 4711))
    // A private tail has nothing to acknowledge.
    delivery?.ack()
    try await subscription.flush()
    #expect(server.received("ack").isEmpty)
    await client.close()
  }

  @Test("a subscription nobody holds any more is left")
  func lastReference() async throws {
    let server = pushingServer(0)
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    var subscription: Subscription? = try await client.subscribe(topic: "t", group: "g")
    #expect(subscription?.group == "g")
    subscription = nil
    await server.wait(for: "unsubscribe")
    #expect(server.received("unsubscribe")[0].fields["sub"]?.int == 3)
    await client.close()
  }

  @Test("cancel ends the sequence, and acknowledgements go out before it")
  func cancelling() async throws {
    let server = pushingServer(1)
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    let subscription = try await client.subscribe(topic: "t", group: "g")
    var messages = subscription.makeAsyncIterator()
    try await messages.next()?.ack()
    try await subscription.cancel()
    #expect(try await messages.next() == nil)
    let ops = server.received.map(\.op)
    #expect(ops == ["hello", "shards", "subscribe", "ack", "unsubscribe"])
    await client.close()
  }

  @Test("a task that is cancelled while it waits for a message gets nil")
  func waitingTaskCancelled() async throws {
    let server = pushingServer(0)
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    let subscription = try await client.subscribe(topic: "t", group: "g")
    let task = Task {
      var messages = subscription.makeAsyncIterator()
      return try await messages.next() == nil
    }
    await Task.yield()
    task.cancel()
    #expect(try await task.value)
    await client.close()
  }

  @Test("a tail that is not read ends with fellBehind instead of growing")
  func fallsBehind() async throws {
    let server = pushingServer(20)
    defer { server.stop() }
    let client = server.client(Configuration(tailBufferMax: 5))
    try await client.connect()
    let subscription = try await client.subscribe(topic: "t")
    try await subscription.flush()
    var offsets: [UInt64] = []
    await #expect(throws: EscapementError.fellBehind(limit: 5)) {
      for try await delivery in subscription { offsets.append(delivery.offset) }
    }
    #expect(offsets == [0, 1, 2, 3, 4])
    await client.close()
  }

  @Test("a gap and the end of the topic are events; the sequence ends behind what has come and is not renewed")
  func truncatedAndEnded() async throws {
    let server = FakeServer { line, connection in
      guard line.op == "subscribe" else { return connection.drop() }
      connection.send(
        line.ok("\"sub\":3"),
        #"{"event":"truncated","sub":3,"topic":"t","fromOffset":2,"toOffset":7}"#, event(sub: 3, offset: 7, id: "m"),
        #"{"event":"ended","sub":3,"topic":"t","reason":"topic_deleted"}"#, event(sub: 3, offset: 8, id: "late"))
    }
    defer { server.stop() }
    let events = Mutex<[ConnectionEvent]>([])
    let client = server.client(
      Configuration(
        reconnect: ReconnectBackoff(initialMs: 1, maxMs: 5),
        onEvent: { event in events.withLock { $0.append(event) } }))
    try await client.connect()
    let subscription = try await client.subscribe(topic: "t", group: "g")
    var offsets: [UInt64] = []
    for try await delivery in subscription { offsets.append(delivery.offset) }
    #expect(offsets == [7])
    #expect(
      events.withLock { $0 } == [
        .connected(again: false), .truncated(topic: "t", group: "g", fromOffset: 2, toOffset: 7),
        .ended(topic: "t", group: "g", reason: "topic_deleted"),
      ])
    // The connection is lost and comes back; the subscription does not.
    _ = try? await client.publish(topic: "t", body: .null)
    #expect(try await client.ping() == 7)
    #expect(server.received("subscribe").count == 1)
    await client.close()
  }

  @Test("a refused renewal ends the subscription with the refusal")
  func refusedRenewal() async throws {
    let server = FakeServer { line, connection in
      guard line.op == "subscribe" else { return connection.drop() }
      connection.send(connection.number == 1 ? line.ok("\"sub\":1") : line.refusal("not_found", "gone"))
    }
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    let subscription = try await client.subscribe(topic: "t", group: "g")
    _ = try? await client.publish(topic: "t", body: .null)
    await #expect(throws: EscapementError.refused(code: .notFound, message: "gone")) {
      for try await _ in subscription {}
    }
    await client.close()
  }
}
