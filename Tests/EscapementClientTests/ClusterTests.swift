// A client of a cluster: who is asked, what is asked again, what moves to the next leader.

import Foundation
import Synchronization
import Testing

@testable import EscapementClient

private let scheduled = "\"id\":\"a\",\"deliverAtMs\":9,\"outcome\":\"scheduled\""

@Suite("clusters", .timeLimit(.minutes(1)))
struct ClusterTests {
  @Test("what is about a topic goes to its leader, and straight there the second time")
  func redirected() async throws {
    let cluster = FakeCluster(nodes: 2, leaders: [0, 1]) { _, line, connection in connection.send(line.ok(scheduled)) }
    defer { cluster.stop() }
    let client = cluster.client([0])
    try await client.connect()
    #expect(client.isCluster)
    for _ in 1...2 {
      for topic in ["t0", "t1"] { try await client.schedule(topic: topic, body: .null, id: "a", when: .after(ms: 5)) }
    }
    #expect(cluster[0].received("schedule").map { $0.text("topic") } == ["t0", "t1", "t0"])
    #expect(cluster[1].received("schedule").map { $0.text("topic") } == ["t1", "t1"])
    await client.close()
  }

  @Test("while nobody leads, every node is asked until one does")
  func nobodyLeads() async throws {
    let cluster = FakeCluster(nodes: 2, leaders: [nil]) { _, line, connection in connection.send(line.ok(scheduled)) }
    defer { cluster.stop() }
    let client = cluster.client([0, 1])
    try await client.connect()
    let waiting = Task { try await client.schedule(topic: "t0", body: .null, id: "a", when: .after(ms: 5)) }
    await cluster[0].wait(for: "schedule")
    await cluster[1].wait(for: "schedule")
    cluster.lead(0, by: 1)
    #expect(try await waiting.value.outcome == .scheduled)
    await client.close()
  }

  @Test("a request that reached no leader in time says so, and that nothing has happened")
  func deadline() async throws {
    let cluster = FakeCluster(nodes: 1, leaders: [nil])
    defer { cluster.stop() }
    let client = cluster.client([0], Configuration(requestTimeoutMs: 200))
    try await client.connect()
    let error = await #expect(throws: EscapementError.self) { try await client.publish(topic: "t0", body: .null) }
    guard case .connectionLost(let reason)? = error else { return #expect(Bool(false), "\(error!)") }
    #expect(reason.contains("not sent to a leader"))
    await client.close()
  }

  @Test("of several addresses, one that answers is enough")
  func oneAnswers() async throws {
    let cluster = FakeCluster(nodes: 2, leaders: [1]) { _, line, connection in connection.send(line.ok(scheduled)) }
    defer { cluster.stop() }
    cluster[0].stop()
    let client = cluster.client([0, 1])
    try await client.connect()
    #expect(try await client.schedule(topic: "t0", body: .null, when: .after(ms: 5)).outcome == .scheduled)
    await client.close()
  }

  @Test("a node that takes connections and says nothing is passed over")
  func stoppedNode() async throws {
    let cluster = FakeCluster(nodes: 2, leaders: [1]) { _, line, connection in connection.send(line.ok(scheduled)) }
    defer { cluster.stop() }
    cluster[0].fallSilent()
    let client = cluster.client([0, 1])
    try await client.connect()
    #expect(try await client.schedule(topic: "t0", body: .null, when: .after(ms: 5)).outcome == .scheduled)
    await client.close()
  }

  @Test("several addresses may be of one server")
  func single() async throws {
    let server = FakeServer { line, connection in connection.send(line.ok(scheduled)) }
    defer { server.stop() }
    let address = ServerAddress(host: "127.0.0.1", port: server.port)
    let client = EscapementClient(addresses: [address, address])
    try await client.connect()
    #expect(!client.isCluster)
    try await client.schedule(topic: "t0", body: .null, when: .after(ms: 5))
    #expect(server.received("schedule").first?.text("id") == nil)
    await client.close()
  }

  @Test("what is about all shards is asked of each, and put together")
  func gathered() async throws {
    let cluster = FakeCluster(nodes: 2, leaders: [1, 0, 1]) { _, line, connection in
      let name = ["z", "m", "b"][Int(line.fields["shard"]!.int!)]
      connection.send(
        line.ok(
          "\"topics\":[{\"topic\":\"\(name)\",\"pending\":1,\"firstOffset\":0,\"nextOffset\":0,\"bytes\":0,\"groups\":[]}]"
        ))
    }
    defer { cluster.stop() }
    let client = cluster.client([0])
    try await client.connect()
    #expect(try await client.topics().map(\.topic) == ["b", "m", "z"])
    #expect(cluster[0].received("topics").count == 1 && cluster[1].received("topics").count == 2)
    await client.close()
  }

  @Test("numbers of shards are added up, but for times, states and free space")
  func statsOfAll() async throws {
    let cluster = FakeCluster(nodes: 1, leaders: [0, 0]) { _, line, connection in
      let shard = line.fields["shard"]!.int!
      connection.send(line.ok("\"uptimeMs\":\(7 - shard),\"released\":\(10 + shard),\"freeDiskBytes\":\(9 - shard)"))
    }
    defer { cluster.stop() }
    let client = cluster.client([0])
    try await client.connect()
    let all = try await client.stats()
    #expect(all.entries.map(\.text) == ["7", "21", "8"])
    #expect(String(decoding: all.json, as: UTF8.self) == "{\"uptimeMs\":7,\"released\":21,\"freeDiskBytes\":8}")
    #expect(try await client.stats(shard: 1)["released"] == 11)
    await client.close()
  }

  @Test("every node is asked about the shards, those that others name too, and one that is down is told")
  func nodes() async throws {
    let cluster = FakeCluster(nodes: 3, leaders: [0, 2])
    defer { cluster.stop() }
    cluster[1].stop()
    let client = cluster.client([0, 1])
    try await client.connect()
    let reports = try await client.nodes()
    #expect(reports.map { $0.status?.node } == ["n0", "n2", nil])
    #expect(reports.map(\.address) == [0, 2, 1].map(cluster.address))
    #expect(reports[0].status?.shards.map(\.role) == ["leading", "following"])
    #expect(reports[1].status?.shards[1].record == 8)
    #expect(reports[2].problem != nil)
    await client.close()
  }

  @Test("leaving the leadership is asked of the leader, taking it of the node that shall have it")
  func moving() async throws {
    let cluster = FakeCluster(nodes: 2, leaders: [0])
    defer { cluster.stop() }
    let client = cluster.client([1])
    try await client.connect()
    try await client.moveLeader(ofShard: 0, to: "n1")
    #expect(cluster[0].received("moveLeader").map { $0.text("to") } == ["n1"])
    // The script of this node does not lead, and refuses; it was not sent on.
    await #expect(throws: EscapementError.self) { try await client.seizeLeader(ofShard: 0, at: cluster.address(1)) }
    #expect(cluster[0].received("seizeLeader").isEmpty && cluster[1].received("seizeLeader").count == 1)
    await client.close()
  }

  @Test("waits double from 50 ms to 1 s; the first of several redirections costs none")
  func pauses() {
    var search = Search()
    #expect(search.pauseMs(after: "a", isRedirected: true) == 0)
    #expect(
      (0..<7).map { _ in search.pauseMs(after: "b", isRedirected: true) } == [50, 100, 200, 400, 800, 1000, 1000])
    #expect(search.pauseMs(after: "c", isRedirected: false) == 1000)
    #expect(search.pauseMs(after: "d", isRedirected: true) == 0)
    #expect(!search.mayHaveTakenEffect && search.reason == "d")
  }
}

@Suite("a cluster's leader ends", .timeLimit(.minutes(1)))
struct LeaderChangeTests {
  /// What a client asks, and whether it asks again when the leader ends without an answer.
  struct Attempt: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var op: String
    var isRepeated: Bool
    var answer = ""
    var ask: @Sendable (EscapementClient) async throws -> Void
  }

  static let attempts = [
    Attempt(testDescription: "schedule with an id", op: "schedule", isRepeated: true, answer: scheduled) {
      try await $0.schedule(topic: "t0", body: .null, id: "a", when: .after(ms: 5))
    },
    Attempt(testDescription: "schedule without an id", op: "schedule", isRepeated: true, answer: scheduled) {
      try await $0.schedule(topic: "t0", body: .null, when: .after(ms: 5))
    },
    Attempt(testDescription: "schedule that rejects", op: "schedule", isRepeated: false) {
      try await $0.schedule(topic: "t0", body: .null, id: "a", when: .after(ms: 5), ifExists: .reject)
    },
    Attempt(
      testDescription: "scheduleMany", op: "scheduleMany", isRepeated: true, answer: "\"results\":[{\(scheduled)}]"
    ) { try await $0.scheduleMany([ScheduleRequest(topic: "t0", body: .null, when: .after(ms: 5))]) },
    Attempt(testDescription: "publish", op: "publish", isRepeated: false) {
      try await $0.publish(topic: "t0", body: .null, id: "a")
    },
    Attempt(testDescription: "cancel", op: "cancel", isRepeated: true, answer: "\"outcome\":\"cancelled\"") {
      try await $0.cancel(topic: "t0", id: "a")
    },
    Attempt(
      testDescription: "reschedule to a time", op: "reschedule", isRepeated: true,
      answer: "\"outcome\":\"rescheduled\",\"deliverAtMs\":9"
    ) { try await $0.reschedule(topic: "t0", id: "a", when: .atMs(9)) },
    Attempt(testDescription: "reschedule by a delay", op: "reschedule", isRepeated: false) {
      try await $0.reschedule(topic: "t0", id: "a", when: .after(ms: 9))
    },
    Attempt(testDescription: "get", op: "get", isRepeated: true, answer: "\"state\":\"released\"") {
      _ = try await $0.get(topic: "t0", id: "a")
    },
    Attempt(testDescription: "list", op: "list", isRepeated: true, answer: "\"messages\":[]") {
      _ = try await $0.list(topic: "t0")
    },
    Attempt(testDescription: "fetch", op: "fetch", isRepeated: true, answer: "\"messages\":[]") {
      _ = try await $0.fetch(topic: "t0", group: "g")
    },
    Attempt(testDescription: "ack up to", op: "ack", isRepeated: true, answer: "\"acked\":1") {
      try await $0.ack(topic: "t0", group: "g", upTo: 5)
    },
    Attempt(testDescription: "seek to an offset", op: "seek", isRepeated: true, answer: "\"offset\":1") {
      try await $0.seek(topic: "t0", group: "g", to: .offset(1))
    },
    Attempt(testDescription: "seek to the end", op: "seek", isRepeated: false) {
      try await $0.seek(topic: "t0", group: "g", to: .latest)
    },
    Attempt(testDescription: "redrive", op: "redrive", isRepeated: false) {
      try await $0.redrive(topic: "t0", group: "g")
    },
    Attempt(testDescription: "createTopic", op: "createTopic", isRepeated: true, answer: "\"created\":true") {
      try await $0.createTopic("t0")
    },
    Attempt(testDescription: "deleteTopic", op: "deleteTopic", isRepeated: false) { try await $0.deleteTopic("t0") },
  ]

  @Test("what is safe to repeat is asked of the next leader; of the rest the outcome is unknown", arguments: attempts)
  func unknownOutcome(_ attempt: Attempt) async throws {
    let hasEnded = Mutex(false)
    let changes = Mutex<(@Sendable () -> Void)?>(nil)
    let cluster = FakeCluster(nodes: 2, leaders: [0]) { _, line, connection in
      let isFirst = hasEnded.withLock { ended in
        defer { ended = true }
        return !ended
      }
      guard isFirst else { return connection.send(line.ok(attempt.answer)) }
      changes.withLock { $0 }?()
      connection.drop()
    }
    changes.withLock { $0 = { [weak cluster] in cluster?.lead(0, by: 1) } }
    defer { cluster.stop() }
    let client = cluster.client([0, 1])
    try await client.connect()
    let result = await Task { try await attempt.ask(client) }.result
    if attempt.isRepeated {
      try result.get()
    } else {
      guard case .failure(EscapementError.connectionLost(let reason)) = result else {
        Issue.record("\(result)")
        return
      }
      #expect(reason.contains("whether '\(attempt.op)' has taken effect is unknown"))
    }
    let lines = cluster[0].received(attempt.op).prefix(1) + cluster[1].received(attempt.op)
    #expect(lines.count == (attempt.isRepeated ? 2 : 1))
    #expect(Set(lines.map { $0.text("id") }).count == 1, "an id stays the same")
    await client.close()
  }

  @Test("a repeated cancel that finds its own work done says cancelled")
  func cancelRepeated() async throws {
    let cluster = FakeCluster(nodes: 1, leaders: [0]) { _, line, connection in
      switch line.op {
      case "cancel" where connection.number == 1: connection.drop()
      case "cancel": connection.send(line.ok("\"outcome\":\"unknown\""))
      default: connection.send(line.ok("\"state\":\"cancelled\""))
      }
    }
    defer { cluster.stop() }
    let client = cluster.client([0])
    try await client.connect()
    #expect(try await client.cancel(topic: "t0", id: "a") == .cancelled)
    await client.close()
  }

  @Test("a subscription moves to the next leader, behind the acknowledgements made meanwhile")
  func subscriptionMoves() async throws {
    let resign = Mutex<(@Sendable () -> Void)?>(nil)
    let cluster = FakeCluster(nodes: 2, leaders: [0]) { number, line, connection in
      switch line.op {
      case "subscribe" where number == 0:
        connection.send(line.ok("\"sub\":1"), event(sub: 1, offset: 4, id: "a"), event(sub: 1, offset: 5, id: "b"))
      case "subscribe": connection.send(line.ok("\"sub\":1"), event(sub: 1, offset: 5, id: "b", attempt: 2))
      case "publish":
        resign.withLock { $0 }?()
        connection.send("{\"event\":\"not_leader\",\"shard\":0}")
        connection.drop()
      default: connection.send(line.ok("\"acked\":1"))
      }
    }
    resign.withLock { $0 = { [weak cluster] in cluster?.lead(0, by: nil) } }
    defer { cluster.stop() }
    let (events, sink) = AsyncStream.makeStream(of: ConnectionEvent.self)
    let client = cluster.client([0, 1], Configuration(onEvent: { sink.yield($0) }))
    try await client.connect()
    let subscription = try await client.subscribe(topic: "t0", group: "g")
    var messages = subscription.makeAsyncIterator()
    let first = try await messages.next()
    #expect(first?.offset == 4)
    await #expect(throws: EscapementError.self) { try await client.publish(topic: "t0", body: .null) }
    // Nobody leads when this is acknowledged, so it must wait.
    for await event in events { if case .lost = event { break } }
    first?.ack()
    cluster.lead(0, by: 1)
    let again = try await messages.next()
    #expect(again?.offset == 5 && again?.attempt == 2)
    try await subscription.flush()
    let lines = cluster[1].received.filter { $0.op == "ack" }
    #expect(lines.last?.fields["offsets"]?.elements.map(\.offset) == [4])
    try await subscription.cancel()
    #expect(cluster[1].received("unsubscribe").count == 1)
    #expect(try await messages.next() == nil)
    await client.close()
  }

  @Test("a subscription that the next leader refuses ends with the refusal")
  func refusedRenewal() async throws {
    let cluster = FakeCluster(nodes: 1, leaders: [0]) { _, line, connection in
      guard line.op == "subscribe" else { return connection.drop() }
      connection.send(connection.number == 1 ? line.ok("\"sub\":1") : line.refusal("not_found", "gone"))
    }
    defer { cluster.stop() }
    let client = cluster.client([0])
    try await client.connect()
    let subscription = try await client.subscribe(topic: "t0", group: "g")
    _ = try? await client.publish(topic: "t0", body: .null)
    await #expect(throws: EscapementError.refused(code: .notFound, message: "gone")) {
      for try await _ in subscription {}
    }
    await client.close()
  }

  @Test("without reconnection redirections are followed, and a loss ends everything")
  func noReconnection() async throws {
    let cluster = FakeCluster(nodes: 2, leaders: [1]) { _, line, connection in
      if line.op == "subscribe" { connection.send(line.ok("\"sub\":1")) } else { connection.drop() }
    }
    defer { cluster.stop() }
    let client = cluster.client([0], Configuration(reconnect: nil))
    try await client.connect()
    let subscription = try await client.subscribe(topic: "t0", group: "g")
    await #expect(throws: EscapementError.self) { try await client.get(topic: "t0", id: "x") }
    await #expect(throws: EscapementError.self) { for try await _ in subscription {} }
    await client.close()
  }

  @Test("a leader that is gone is not asked again")
  func goneLeader() async throws {
    let cluster = FakeCluster(nodes: 2, leaders: [0]) { _, line, connection in connection.send(line.ok(scheduled)) }
    defer { cluster.stop() }
    let client = cluster.client([0, 1])
    try await client.connect()
    for leader in [0, 1] {
      cluster.lead(0, by: leader)
      #expect(try await client.schedule(topic: "t0", body: .null, when: .after(ms: 5)).outcome == .scheduled)
      cluster[0].stop()
    }
    await client.close()
  }

  @Test("a leader that says nothing any more is left for the next one")
  func silentLeader() async throws {
    let cluster = FakeCluster(nodes: 2, leaders: [0]) { number, line, connection in
      if number == 1 { connection.send(line.ok(scheduled)) }
    }
    defer { cluster.stop() }
    let client = cluster.client([0, 1], pingEveryMs: 1000)
    try await client.connect()
    let waiting = Task { try await client.schedule(topic: "t0", body: .null, when: .after(ms: 5)) }
    await cluster[0].wait(for: "schedule")
    cluster[0].fallSilent()
    cluster.lead(0, by: 1)
    #expect(try await waiting.value.outcome == .scheduled)
    await client.close()
  }

  @Test("a leader that is slow with its answers, but there, is left in peace")
  func slowLeader() async throws {
    let slow = Mutex<(line: Received, connection: FakeServer.Connection)?>(nil)
    let cluster = FakeCluster(nodes: 1, leaders: [0]) { _, line, connection in slow.withLock { $0 = (line, connection) }
    }
    defer { cluster.stop() }
    let client = cluster.client([0], pingEveryMs: 1000)
    try await client.connect()
    let waiting = Task { try await client.publish(topic: "t0", body: .null) }
    await cluster[0].wait(for: "publish")
    let (line, connection) = try #require(slow.withLock { $0 })
    cluster[0].fallSilent(on: connection)
    // Another connection has looked whether it is there, and takes its leave.
    await cluster[0].wait { $0.contains { $0.op == "ping" && $0.connection > line.connection } }
    connection.send(line.ok("\"id\":\"x\",\"offset\":1"))
    #expect(try await waiting.value.offset == 1)
    await client.close()
  }

  @Test("messages without a reply follow one with a reply, which finds the leader")
  func unanswered() async throws {
    let cluster = FakeCluster(nodes: 2, leaders: [1]) { _, line, connection in
      if line.text("acks") != "none" { connection.send(line.ok(scheduled)) }
    }
    defer { cluster.stop() }
    let client = cluster.client([0])
    try await client.connect()
    for _ in 1...3 {
      try await client.scheduleUnanswered(ScheduleRequest(topic: "t0", body: .null, when: .after(ms: 5)))
    }
    await cluster[1].wait(for: "schedule", count: 3)
    let lines = cluster[1].received("schedule")
    #expect(lines.map { $0.text("acks") } == ["memory", "none", "none"])
    #expect(Set(lines.map { $0.text("id") }).count == 3)
    await client.close()
  }
}
