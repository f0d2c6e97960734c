// A connection that breaks: what fails, what is repeated, what is renewed.

import Foundation
import Synchronization
import Testing

@testable import EscapementClient

@Suite("reconnection", .timeLimit(.minutes(1)))
struct ReconnectionTests {
  /// Breaks the first connection at its first line (hello aside) and answers on later ones.
  private func breakingServer(_ answer: @escaping @Sendable (Received) -> String) -> FakeServer {
    FakeServer { line, connection in
      if connection.number == 1 { connection.drop() } else { connection.send(answer(line)) }
    }
  }

  @Test("a publish on the wire fails with connectionLost and is not repeated")
  func publishIsNotRepeated() async throws {
    let server = breakingServer { $0.ok("\"id\":\"x\",\"offset\":1") }
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    let result = await Task { try await client.publish(topic: "t", body: .null) }.result
    guard case .failure(EscapementError.connectionLost) = result else {
      Issue.record("\(result)")
      return
    }
    #expect(try await client.ping() == 7)
    #expect(server.received("publish").count == 1)
    await client.close()
  }

  @Test(
    "schedule is repeated only with an id that may stand already",
    arguments: [
      (nil, nil, false), ("a", nil, true), ("a", IfExists.keep, true), ("a", .replace, true), ("a", .reject, false),
    ] as [(String?, IfExists?, Bool)])
  func scheduleWithID(_ id: String?, _ ifExists: IfExists?, _ isRepeated: Bool) async throws {
    let server = breakingServer { $0.ok("\"id\":\"a\",\"deliverAtMs\":9,\"outcome\":\"kept\"") }
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    let result = await Task {
      try await client.schedule(topic: "t", body: .null, id: id, when: .after(ms: 5), ifExists: ifExists)
    }.result
    #expect((try? result.get().outcome) == (isRepeated ? .kept : nil))
    #expect(server.received("schedule").count == (isRepeated ? 2 : 1))
    await client.close()
  }

  @Test("a repeated cancel that finds its own work done says cancelled")
  func cancelRepeated() async throws {
    let server = breakingServer { line in
      line.op == "get" ? line.ok("\"state\":\"cancelled\"") : line.ok("\"outcome\":\"unknown\"")
    }
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    #expect(try await client.cancel(topic: "t", id: "a") == .cancelled)
    // The next one goes out once, and unknown means unknown.
    #expect(try await client.cancel(topic: "t", id: "b") == .unknown)
    await client.close()
  }

  @Test("without reconnection everything fails, subscriptions too")
  func noReconnection() async throws {
    let server = FakeServer { line, connection in
      if line.op == "subscribe" { connection.send(line.ok("\"sub\":1")) } else { connection.drop() }
    }
    defer { server.stop() }
    let client = server.client(Configuration(reconnect: nil))
    try await client.connect()
    let subscription = try await client.subscribe(topic: "t", group: "g")
    await #expect(throws: EscapementError.self) { try await client.get(topic: "t", id: "x") }
    await #expect(throws: EscapementError.self) { for try await _ in subscription {} }
    await #expect(throws: EscapementError.self) { try await client.ping() }
  }

  @Test("a subscription is renewed; what lay unread comes once, from the new connection")
  func resubscribe() async throws {
    let server = FakeServer { line, connection in
      guard line.op == "subscribe" else { return connection.drop() }
      if connection.number == 1 {
        connection.send(line.ok("\"sub\":1"), event(sub: 1, offset: 0, id: "a"), event(sub: 1, offset: 1, id: "b"))
      } else {
        connection.send(line.ok("\"sub\":9"), event(sub: 9, offset: 1, id: "b", attempt: 2))
      }
    }
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    let subscription = try await client.subscribe(topic: "t", group: "g", options: ConsumeOptions(tags: ["x"]))
    var messages = subscription.makeAsyncIterator()
    #expect(try await messages.next()?.id == "a")
    // Breaks the connection while "b" lies unread.
    await #expect(throws: EscapementError.self) { try await client.publish(topic: "t", body: .null) }
    let again = try await messages.next()
    #expect(again?.id == "b" && again?.attempt == 2)
    let lines = server.received("subscribe")
    #expect(lines.count == 2 && lines.allSatisfy { $0.fields["tags"]?.elements.first?.string == "x" })
    await client.close()
    #expect(try await messages.next() == nil)
  }

  @Test("an acknowledgement made without a connection is sent before anything else on the next one")
  func ackSurvives() async throws {
    let gate = DispatchSemaphore(value: 0)
    let server = FakeServer { line, connection in
      switch line.op {
      case "subscribe" where connection.number == 1:
        connection.send(line.ok("\"sub\":1"), event(sub: 1, offset: 4, id: "a"))
      case "subscribe": connection.send(line.ok("\"sub\":1"))
      case "publish":
        connection.drop()
        gate.signal()
      default: break
      }
    }
    defer { server.stop() }
    let (events, sink) = AsyncStream.makeStream(of: ConnectionEvent.self)
    let client = server.client(
      Configuration(reconnect: ReconnectBackoff(initialMs: 30), onEvent: { sink.yield($0) }))
    try await client.connect()
    let subscription = try await client.subscribe(topic: "t", group: "g")
    var messages = subscription.makeAsyncIterator()
    let delivery = try await messages.next()
    _ = try? await client.publish(topic: "t", body: .null)
    for await event in events { if case .lost = event { break } }
    delivery?.nack()
    delivery?.ack()
    await server.wait(for: "subscribe", count: 2)
    let second = server.received.filter { $0.connection == 2 }.map(\.op)
    #expect(
      second.prefix(2) == ["hello", "ack"] || second.prefix(3) == ["hello", "nack", "ack"]
        || second.prefix(3) == ["hello", "ack", "nack"])
    #expect(server.received("ack").first?.fields["offsets"]?.elements.map(\.offset) == [4])
    await client.close()
  }

  @Test("a request made while there is no connection waits for the next one")
  func waitsForConnection() async throws {
    let server = FakeServer { line, connection in
      if connection.number == 1 { connection.drop() } else { connection.send(line.ok("\"id\":\"x\",\"offset\":1")) }
    }
    defer { server.stop() }
    let (events, sink) = AsyncStream.makeStream(of: ConnectionEvent.self)
    let client = server.client(Configuration(reconnect: ReconnectBackoff(initialMs: 30), onEvent: { sink.yield($0) }))
    try await client.connect()
    _ = try? await client.publish(topic: "t", body: .null)
    for await event in events { if case .reconnecting = event { break } }
    #expect(try await client.publish(topic: "t", body: .null).offset == 1)
    await client.close()
  }

  @Test("reconnection gives up after its attempts")
  func givesUp() async throws {
    let server = FakeServer()
    let (events, sink) = AsyncStream.makeStream(of: ConnectionEvent.self)
    let client = server.client(
      Configuration(reconnect: ReconnectBackoff(initialMs: 1, maxMs: 2, attemptsMax: 3), onEvent: { sink.yield($0) }))
    try await client.connect()
    let waiting = Task { try await client.get(topic: "t", id: "x") }
    await server.wait(for: "get")
    server.stop()
    await #expect(throws: EscapementError.self) { try await waiting.value }
    var attempts = 0
    for await event in events {
      if case .reconnecting = event { attempts += 1 }
      if case .gaveUp = event { break }
    }
    #expect(attempts == 3)
  }

  @Test("a line that is no JSON ends the connection, and the next one serves")
  func badLine() async throws {
    let server = FakeServer { line, connection in
      connection.send(connection.number == 1 ? "{\"ok\":tru" : line.ok("\"state\":\"released\""))
    }
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    #expect(try await client.get(topic: "t", id: "x") == .released)
    await client.close()
  }

  @Test(
    "the wait doubles up to its most, and chance takes up to half of it away",
    arguments: [
      (1, 50...100), (2, 100...200), (3, 200...400), (5, 500...1_000), (60, 500...1_000), (.max, 500...1_000),
    ]
      as [(Int, ClosedRange<Int64>)])
  func backoff(_ attempt: Int, _ expected: ClosedRange<Int64>) {
    let rule = ReconnectBackoff(initialMs: 100, maxMs: attempt < 4 ? 10_000 : 1_000)
    let waits = (0..<2_000).map { rule.delayMs(attempt: attempt, random: UInt64($0)) }
    #expect(waits.min() == expected.lowerBound && waits.max() == expected.upperBound)
    #expect(rule.delayMs(attempt: attempt, random: .max) <= expected.upperBound)
  }
}
