// Requests on one connection: matching, pipelining, errors, giving up.

import Foundation
import Synchronization
import Testing

@testable import EscapementClient

@Suite("requests", .timeLimit(.minutes(1)))
struct RequestTests {
  @Test("a hundred requests share a connection and find their replies in any order")
  func pipelining() async throws {
    let waiting = Mutex<[Received]>([])
    let server = FakeServer { line, connection in
      let all = waiting.withLock { waiting in
        waiting.append(line)
        return waiting.count == 100 ? waiting : []
      }
      // Nothing is answered before everything was asked; then the last one first.
      for line in all.reversed() {
        connection.send(line.ok("\"outcome\":\"\(line.text("id")! < "5" ? "cancelled" : "released")\""))
      }
    }
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for index in 0..<100 {
        group.addTask {
          let outcome = try await client.cancel(topic: "t", id: "\(index)")
          #expect(outcome == ("\(index)" < "5" ? .cancelled : .released), "request \(index)")
        }
      }
      try await group.waitForAll()
    }
    await client.close()
  }

  @Test("a waiting fetch holds nobody up, and its reply finds it")
  func fetchOutOfOrder() async throws {
    let fetch = Mutex<Received?>(nil)
    let server = FakeServer { line, connection in
      if line.op == "fetch" { return fetch.withLock { $0 = line } }
      connection.send(line.ok("\"state\":\"released\""))
      fetch.withLock { connection.send($0!.ok("\"messages\":[\(message(offset: 3, id: "m"))]")) }
    }
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    async let fetched = client.fetch(topic: "t", group: "g", waitMs: 60_000)
    await server.wait(for: "fetch")
    #expect(try await client.get(topic: "t", id: "x") == .released)
    let deliveries = try await fetched
    #expect(deliveries.map(\.offset) == [3])
    #expect(deliveries[0].group == "g")
    await client.close()
  }

  @Test(
    "a refusal is a typed error",
    arguments: [
      ("exists", RefusalCode.exists), ("delay_out_of_range", .delayOutOfRange), ("disk_full", .diskFull),
      ("something_new", RefusalCode(rawValue: "something_new")),
    ])
  func refusals(_ text: String, _ code: RefusalCode) async throws {
    let server = FakeServer { line, connection in connection.send(line.refusal(text, "because")) }
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    await #expect(throws: EscapementError.refused(code: code, message: "because")) {
      try await client.schedule(topic: "t", body: .null, when: .after(ms: 1))
    }
    await client.close()
  }

  @Test("a cancelled task stops waiting, and the late reply disturbs nobody")
  func cancellation() async throws {
    let server = FakeServer { line, connection in
      if line.text("id") == "other" { connection.send(line.ok("\"state\":\"cancelled\"")) }
    }
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    let task = Task { try await client.get(topic: "t", id: "never") }
    await server.wait(for: "get")
    task.cancel()
    await #expect(throws: CancellationError.self) { try await task.value }
    #expect(try await client.get(topic: "t", id: "other") == .cancelled)
    await client.close()
  }

  @Test("a task cancelled before it asks never waits")
  func cancelledBefore() async throws {
    let server = FakeServer()
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    let task = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return try await client.get(topic: "t", id: "x")
    }
    await #expect(throws: CancellationError.self) { try await task.value }
    await client.close()
  }

  @Test("a request without a reply times out")
  func timeout() async throws {
    let server = FakeServer()
    defer { server.stop() }
    // The time holds for the first greeting, too, which a busy machine may be late with.
    var greetings = 0
    while greetings < 200 {
      greetings += 1
      let client = server.client(Configuration(requestTimeoutMs: 60))
      guard (try? await client.connect()) != nil else {
        await client.close()
        continue
      }
      await #expect(throws: EscapementError.timeout(op: "get")) { try await client.get(topic: "t", id: "x") }
      return await client.close()
    }
    Issue.record("no greeting was answered in time")
  }

  @Test("a wrong token, no server, a second connect, no connect: each says what it is")
  func connecting() async throws {
    let server = FakeServer()
    let intruder = server.client(Configuration(token: "wrong"))
    await #expect(throws: EscapementError.refused(code: .unauthenticated, message: "bad token")) {
      try await intruder.connect()
    }
    let client = server.client()
    await #expect(throws: EscapementError.self) { try await client.ping() }
    let info = try await client.connect()
    #expect(info.wheelSize == 64 && info.server == "fake/1" && client.server == info)
    await #expect(throws: EscapementError.self) { try await client.connect() }
    await client.close()
    await #expect(throws: EscapementError.closed) { try await client.ping() }
    server.stop()
    await #expect(throws: EscapementError.self) { try await EscapementClient(port: 1).connect() }
  }

  @Test("close ends what still waits")
  func closing() async throws {
    let server = FakeServer()
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    let waiting = Task { try await client.get(topic: "t", id: "x") }
    await server.wait(for: "get")
    await client.close()
    await #expect(throws: EscapementError.closed) { try await waiting.value }
  }

  @Test("a request longer than the server's line is found before it is sent")
  func tooLong() async throws {
    let server = FakeServer()
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    let body = MessageBody.text(String(repeating: "x", count: 65_536))
    await #expect(throws: EscapementError.self) { try await client.publish(topic: "t", body: body) }
    #expect(server.received("publish").isEmpty)
    #expect(try await client.ping() == 7)
    await client.close()
  }

  @Test("a request that wants no reply reports its refusal as an event")
  func unanswered() async throws {
    let server = FakeServer { line, connection in connection.send(line.refusal("disk_full", "full")) }
    defer { server.stop() }
    let (events, sink) = AsyncStream.makeStream(of: ConnectionEvent.self)
    let client = server.client(Configuration(onEvent: { sink.yield($0) }))
    try await client.connect()
    try await client.scheduleUnanswered(ScheduleRequest(topic: "t", body: .null, when: .level(3)))
    var iterator = events.makeAsyncIterator()
    #expect(await iterator.next() == .connected(again: false))
    #expect(await iterator.next() == .refusedUnanswered(code: .diskFull, message: "full"))
    #expect(server.received("schedule")[0].text("acks") == "none")
    await client.close()
  }

  @Test("a batch is one line and one reply; the receipts stand in its order")
  func scheduleMany() async throws {
    let server = FakeServer { line, connection in
      let results = (line.fields["messages"]?.elements ?? []).map { message in
        let id = message.members.first { $0.key == "id" }?.value.string ?? "made"
        return "{\"id\":\"\(id)\",\"deliverAtMs\":9,\"outcome\":\"\(id == "7" ? "kept" : "scheduled")\"}"
      }
      connection.send(line.ok("\"results\":[\(results.joined(separator: ","))]"))
    }
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    let receipts = try await client.scheduleMany(
      (0..<600).map { ScheduleRequest(topic: "t", body: .null, when: .after(ms: 1), id: "\($0)") }, acks: .memory)
    #expect(receipts.map(\.id) == (0..<600).map { "\($0)" })
    #expect(receipts.filter { $0.outcome == .kept }.map(\.id) == ["7"])
    let lines = server.received("scheduleMany")
    #expect(lines.count == 1 && lines[0].text("topic") == "t" && lines[0].text("acks") == "memory")
    #expect(try await client.scheduleMany([]) == [])
    await client.close()
  }

  @Test("a batch that is refused is refused whole, and one that cannot be a batch is never sent")
  func refusedBatches() async throws {
    let server = FakeServer { line, connection in connection.send(line.refusal("exists", "messages[3]: it is there")) }
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    let message = ScheduleRequest(topic: "t", body: .null, when: .after(ms: 1), id: "a")
    await #expect(throws: EscapementError.refused(code: .exists, message: "messages[3]: it is there")) {
      try await client.scheduleMany([message, message])
    }
    var elsewhere = message
    elsewhere.topic = "u"
    for batch in [[message, elsewhere], Array(repeating: message, count: 1_001)] {
      await #expect(throws: EscapementError.self) { try await client.scheduleMany(batch) }
    }
    #expect(server.received("scheduleMany").count == 1)
    await client.close()
  }

  @Test("redrive tells how many dead letters went back and how many are left")
  func redrive() async throws {
    let server = FakeServer { line, connection in connection.send(line.ok("\"redriven\":2,\"remaining\":5")) }
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    let receipt = try await client.redrive(topic: "t", group: "g", limit: 2)
    #expect(receipt.redriven == 2 && receipt.remaining == 5)
    let line = server.received("redrive")[0]
    #expect(line.text("topic") == "t" && line.text("group") == "g" && line.fields["limit"]?.int == 2)
    await client.close()
  }

  @Test("pending messages are listed page by page, the cursor handed back as it came")
  func paging() async throws {
    let server = FakeServer { line, connection in
      let from = line.fields["cursor"]?.elements.first?.int ?? 0
      let rows = (from..<min(from + 2, 5)).map { "{\"id\":\"\($0)\",\"deliverAtMs\":\($0),\"scheduledAtMs\":0}" }
      let cursor = from + 2 < 5 ? ",\"cursor\":[\(from + 2), \"x\"]" : ""
      connection.send(line.ok("\"messages\":[\(rows.joined(separator: ","))]\(cursor)"))
    }
    defer { server.stop() }
    let client = server.client()
    try await client.connect()
    var ids: [String] = []
    for try await message in client.pending(topic: "t", pageSize: 2) { ids.append(message.id) }
    #expect(ids == ["0", "1", "2", "3", "4"])
    #expect(server.received("list").count == 3)
    await client.close()
  }

  @Test("each operation writes the fields of the protocol")
  func requestLines() throws {
    let message = ScheduleRequest(
      topic: "t", body: try .json("{ \"a\":\n1.50}"), when: .atMs(99), id: "i\"\n", key: "k", tag: "é",
      headers: ["b": "2", "a": "1"], ifExists: .replace)
    #expect(
      String(decoding: message.line(acks: "disk").finished(rid: 4), as: UTF8.self)
        == #"{"op":"schedule","topic":"t","acks":"disk","id":"i\"\n","deliverAtMs":99,"key":"k","tag":"é","headers":{"a":"1","b":"2"},"#
        + #""ifExists":"replace","body":{ "a": 1.50},"rid":4}"# + "\n")
  }
}

/// A delivered message as the server writes it, without the braces of an event.
func message(offset: Int, id: String, attempt: Int = 1, body: String = "null") -> String {
  "{\"topic\":\"t\",\"offset\":\(offset),\"id\":\"\(id)\",\"attempt\":\(attempt),\"deliverAtMs\":10,\"releasedAtMs\":11,\"body\":\(body)}"
}

/// The same as an event of subscription `sub`.
func event(sub: Int, offset: Int, id: String, attempt: Int = 1, body: String = "null") -> String {
  "{\"event\":\"message\",\"sub\":\(sub)," + message(offset: offset, id: id, attempt: attempt, body: body).dropFirst()
}
