// Every method of the client against the real server.

import EscapementClient
import Foundation
import Synchronization
import Testing

@Suite("client and server: operations", .timeLimit(.minutes(2)))
struct OperationTests {
  private static let hourMs: Int64 = 3_600_000

  @Test("scheduling: one, many, looked up, listed, moved, cancelled")
  func scheduling() async throws {
    try await RealServer.with { server in
      let client = try await server.client()
      let info = try #require(client.server)
      #expect(info.protocolVersion == 1 && info.server.hasPrefix("escapement/"))
      #expect(try await client.hello().tickMs == info.tickMs)
      #expect(try await client.ping() >= info.nowMs)
      let dueMs = info.nowMs + Self.hourMs
      let body = try MessageBody.json(#"{"a" : 1e400}"#)
      let first = try await client.schedule(
        topic: "t", body: body, id: "a", when: .atMs(dueMs), key: "k", tag: "g", headers: ["h": "1"])
      #expect(first.id == "a" && first.deliverAtMs == dueMs && first.outcome == .scheduled)
      #expect(try await client.schedule(topic: "t", body: .null, id: "a", when: .after(ms: 1)).outcome == .kept)
      await #expect(throws: EscapementError.self) {
        try await client.schedule(topic: "t", body: .null, id: "a", when: .level(1), ifExists: .reject)
      }
      guard case .pending(let pending, let headers, let bytes) = try await client.get(topic: "t", id: "a") else {
        Issue.record("'a' is not pending")
        return
      }
      #expect(pending.deliverAtMs == dueMs && pending.key == "k" && pending.tag == "g" && headers == ["h": "1"])
      #expect(String(decoding: bytes, as: UTF8.self) == #"{"a" : 1e400}"#)
      let batch = (0..<250).map {
        ScheduleRequest(topic: "t", body: .text("\($0)"), when: .atMs(dueMs + 1 + Int64($0)), id: "b\($0)")
      }
      #expect(try await client.scheduleMany(batch).map(\.id) == batch.map(\.id))
      #expect(try await client.scheduleMany(batch, acks: .memory).allSatisfy { $0.outcome == .kept })
      let refused = [batch[0], ScheduleRequest(topic: "t", body: .null, when: .after(ms: -1))]
      await #expect { try await client.scheduleMany(refused) } throws: { error in
        guard case EscapementError.refused(.badRequest, let message) = error else { return false }
        return message.hasPrefix("messages[1]")
      }
      var listed: [String] = []
      for try await message in client.pending(topic: "t", pageSize: 100) { listed.append(message.id) }
      #expect(listed == ["a"] + batch.map(\.id!))
      let page = try await client.list(topic: "t", fromMs: dueMs + 2, toMs: dueMs + 5, limit: 3)
      #expect(page.messages.map(\.id) == ["b1", "b2", "b3"] && page.cursor != nil)
      #expect(
        try await client.reschedule(topic: "t", id: "b0", when: .atMs(dueMs + 9))
          == .rescheduled(deliverAtMs: dueMs + 9))
      #expect(try await client.cancel(topic: "t", id: "b0") == .cancelled)
      #expect(try await client.get(topic: "t", id: "b0") == .cancelled)
      #expect(try await client.cancel(topic: "t", id: "never") == .unknown)
      #expect(try await client.reschedule(topic: "t", id: "never", when: .after(ms: 5)) == .unknown)
      let published = try await client.publish(topic: "t", body: .null, id: "p")
      #expect(published.offset == 0 && published.id == "p")
      #expect(try await client.get(topic: "t", id: "p") == .released)
      await client.close()
    }
  }

  @Test("consuming: subscribe, ack, nack, touch, fetch, seek, dead letters and their way back")
  func consuming() async throws {
    try await RealServer.with { server in
      let client = try await server.client()
      for number in 0..<6 { try await client.publish(topic: "t", body: .value(number), tag: number == 5 ? "x" : "y") }
      let options = ConsumeOptions(ackWaitMs: Self.hourMs, maxAttempts: 2, from: .earliest)
      let subscription = try await client.subscribe(topic: "t", group: "g", credit: 4, options: options)
      var messages = subscription.makeAsyncIterator()
      for number in 0..<4 {
        let message = try #require(try await messages.next())
        #expect(try message.decode(Int.self) == number && message.offset == UInt64(number) && message.attempt == 1)
        message.touch()
        if number == 0 { message.nack(delayMs: 0) } else { message.ack() }
      }
      // The refused one again, and the last two, as acknowledgements made room for them.
      var others: [UInt64] = []
      for _ in 0..<3 {
        let message = try #require(try await messages.next())
        if message.attempt == 2 { message.nack() } else { others.append(message.offset) }
      }
      #expect(others == [4, 5])
      try await subscription.cancel()
      #expect(try await messages.next() == nil)
      // What the subscription still had goes to whoever fetches; the one refused twice is a dead letter.
      let fetched = try await client.fetch(topic: "t", group: "g", max: 10, waitMs: 10_000, options: options)
      #expect(fetched.map(\.offset) == [4, 5] && fetched.allSatisfy { $0.attempt == 2 })
      #expect(try await client.ack(topic: "t", group: "g", upTo: 5) == 2)
      let letters = try await client.fetch(topic: "t.g.dlq", group: "judge", waitMs: 10_000)
      #expect(letters.map { $0.headers["x-origin-offset"] } == ["0"])
      let receipt = try await client.redrive(topic: "t", group: "g")
      #expect(receipt.redriven == 1 && receipt.remaining == 0)
      #expect(try await client.fetch(topic: "t", group: "g", waitMs: 10_000).map(\.offset) == [6])
      #expect(try await client.seek(topic: "t", group: "g", to: .offset(2)) == 2)
      let red = try await client.fetch(topic: "t", group: "g", options: ConsumeOptions(tags: ["x"]))
      #expect(red.map(\.offset) == [5])
      let tail = try await client.subscribe(topic: "t")
      let old = try await client.subscribe(topic: "t", options: ConsumeOptions(from: .offset(3)))
      try await client.publish(topic: "t", body: .text("new"))
      var (tailed, older) = (tail.makeAsyncIterator(), old.makeAsyncIterator())
      #expect(try await tailed.next()?.offset == 7)
      #expect(try await older.next()?.offset == 3)
      await client.close()
    }
  }

  @Test("topics and the inside; the end of a topic ends its subscriptions")
  func topics() async throws {
    try await RealServer.with { server in
      let (events, sink) = AsyncStream.makeStream(of: ConnectionEvent.self)
      let client = try await server.client(onEvent: { sink.yield($0) })
      #expect(try await client.createTopic("t", retentionMs: Self.hourMs))
      #expect(try await !client.createTopic("t", retentionMs: Self.hourMs))
      await #expect(throws: EscapementError.self) { try await client.createTopic("t") }
      try await client.schedule(topic: "t", body: .null, when: .after(ms: Self.hourMs))
      try await client.publish(topic: "t", body: .null)
      let subscription = try await client.subscribe(topic: "t", group: "g")
      var messages = subscription.makeAsyncIterator()
      #expect(try await messages.next()?.offset == 0)
      let topic = try #require(try await client.topics().first)
      #expect(topic.topic == "t" && topic.pending == 1 && topic.nextOffset == 1)
      #expect(topic.groups.map(\.group) == ["g"] && topic.groups[0].inFlight == 1 && topic.groups[0].members == 1)
      let stats = try await client.stats()
      #expect(stats["pending"] == 1 && stats["published"] == 1)
      let wheel = try await client.wheel()
      #expect(wheel.levels.map(\.pending).reduce(0, +) + wheel.onDisk == 1)
      #expect(try await client.deleteTopic("t"))
      #expect(try await messages.next() == nil)
      var iterator = events.makeAsyncIterator()
      #expect(await iterator.next() == .connected(again: false))
      #expect(await iterator.next() == .ended(topic: "t", group: "g", reason: "topic_deleted"))
      #expect(try await !client.deleteTopic("t"))
      await client.close()
    }
  }

  @Test("without acknowledgement: nothing comes back but a refusal")
  func unanswered() async throws {
    try await RealServer.with { server in
      let (events, sink) = AsyncStream.makeStream(of: ConnectionEvent.self)
      let client = try await server.client(onEvent: { sink.yield($0) })
      for number in 0..<100 {
        try await client.scheduleUnanswered(
          ScheduleRequest(topic: "t", body: .value(number), when: .after(ms: 0), id: "m\(number)"))
      }
      var bodies: [Int] = []
      while bodies.count < 100 {
        for message in try await client.fetch(topic: "t", group: "g", waitMs: 10_000) {
          bodies.append(try message.decode(Int.self))
        }
      }
      #expect(bodies == Array(0..<100))
      try await client.scheduleUnanswered(ScheduleRequest(topic: "t", body: .null, when: .level(1_000)))
      var iterator = events.makeAsyncIterator()
      #expect(await iterator.next() == .connected(again: false))
      guard case .refusedUnanswered(.badRequest, _)? = await iterator.next() else {
        Issue.record("the refusal was not told")
        return
      }
      await client.close()
    }
  }

  @Test("a crash of the server and a new start: the client comes back by itself, and no message is lost")
  func crash() async throws {
    try await RealServer.with("--fsync", "always") { server in
      let client = try await server.client()
      let seen = Mutex<[String: Int]>([:])
      let consumer = try await server.client()
      let subscription = try await consumer.subscribe(
        topic: "t", group: "g", credit: 10, options: ConsumeOptions(ackWaitMs: Self.hourMs))
      let consuming = Task {
        for try await message in subscription {
          let count = seen.withLock { seen in
            seen[message.id, default: 0] += 1
            return seen.count
          }
          message.ack()
          if count == 120 { break }
        }
        try await subscription.flush()
      }
      for round in 0..<3 {
        try await withThrowingTaskGroup(of: Void.self) { group in
          for number in 0..<40 {
            let id = "m\(round * 40 + number)"
            // With an id a request is repeated after the crash, and is still one message.
            group.addTask {
              try await client.schedule(topic: "t", body: .null, id: id, when: .after(ms: Int64(number * 5)))
            }
          }
          if round < 2 {
            await server.end(with: SIGKILL)
            try await server.start()
          }
          try await group.waitForAll()
        }
      }
      try await consuming.value
      #expect(seen.withLock { $0.count } == 120)
      let topic = try #require(try await client.topics().first { $0.topic == "t" })
      #expect(topic.nextOffset == 120 && topic.pending == 0, "released once each")
      await consumer.close()
      await client.close()
    }
  }
}
