// Every command of the program, and the examples, against the real server: exit status and output.

import EscapementClient
import Foundation
import Testing

@testable import escapement

@Suite("client and server: commands", .timeLimit(.minutes(2)))
struct CommandTests {
  /// Runs a command that must succeed; gives its lines.
  private func lines(_ server: RealServer, _ command: String, _ arguments: String...) async throws -> [String] {
    let outcome = try await run("escapement", [command] + arguments + ["--server", await server.address])
    #expect(outcome.status == 0, "\(command): \(outcome.errors)")
    return outcome.output.split(separator: "\n").map(String.init)
  }

  @Test("messages on the command line")
  func messages() async throws {
    // A time that stays ahead: a hundred years may lie between.
    try await RealServer.with("--max-delay-ms", "3153600000000") { server in
      let scheduled = try await lines(
        server, "schedule", "t", "--at", "4102444800000", "--id", "a", "--body", #"{"n":1}"#)
      #expect(scheduled == [#"{"deliverAtMs":4102444800000,"id":"a","outcome":"scheduled"}"#])
      let kept = try await lines(server, "schedule", "t", "--in", "5s", "--id", "a")
      #expect(kept == [#"{"deliverAtMs":4102444800000,"id":"a","outcome":"kept"}"#])
      let moved = try await lines(server, "reschedule", "t", "a", "--at", "2100-01-01T00:00:00.001Z")
      #expect(moved == [#"{"outcome":"rescheduled","deliverAtMs":4102444800001}"#])
      let got = try await lines(server, "get", "t", "a")
      #expect(
        got[0].contains(#""deliverAtMs":4102444800001"#) && got[0].hasSuffix(#","state":"pending","body":{"n":1}}"#))
      let listed = try await lines(server, "list", "t")
      #expect(listed.count == 1 && listed[0].contains(#""id":"a""#))
      #expect(try await lines(server, "cancel", "t", "a") == [#"{"outcome":"cancelled"}"#])
      #expect(try await lines(server, "get", "t", "a") == [#"{"state":"cancelled"}"#])
      let published = try await lines(server, "publish", "t", "--id", "p", "--body-text", "hé", "--key", "k")
      #expect(published == [#"{"id":"p","offset":0}"#])
      let heard = try await lines(server, "listen", "t", "--group", "g", "--count", "1")
      #expect(heard.count == 1 && heard[0].hasSuffix(#","key":"k","body":"hé"}"#), "\(heard)")
      let looked = try await lines(server, "listen", "t", "--from", "0", "--count", "1")
      #expect(looked == heard)
      let refused = try await run("escapement", ["get", "bad/name", "a", "--server", await server.address])
      #expect(refused.status == 1 && refused.errors.contains("bad_request"))
    }
  }

  @Test("the inside on the command line")
  func inside() async throws {
    try await RealServer.with { server in
      _ = try await lines(server, "schedule", "t", "--in", "1d")
      _ = try await lines(server, "publish", "t")
      let topics = try await lines(server, "topics")
      #expect(topics.count == 2 && topics[0].contains("pending") && topics[1].hasPrefix("t "))
      #expect(try await lines(server, "topics", "--json")[0].contains(#""nextOffset":1"#))
      let stats = try await lines(server, "stats")
      #expect(stats.contains { $0.hasPrefix("pending ") && $0.hasSuffix(" 1") }, "\(stats)")
      #expect(try await lines(server, "stats", "--json")[0].contains(#""published":1"#))
      let wheel = try await lines(server, "wheel")
      #expect(wheel[0].contains("512 slots") && wheel.last!.hasPrefix("on disk, for later: "))
      let top = try ChildProcess(
        path: built("escapement"), arguments: ["top", "--server", await server.address], log: "/dev/null")
      #expect(await blocking { top.readLine(timeoutMs: 30_000) }?.hasPrefix("escapement/") == true)
      #expect(await blocking { top.end(with: SIGINT, timeoutMs: 20_000) }, "top ends when it is interrupted")
      top.discardOutput()
      await server.end(with: SIGTERM)
      let check = try await run("escapement", ["check", server.data])
      #expect(check.status == 0 && check.output.hasSuffix("good\n"), "\(check)")
    }
  }

  @Test("queues and exchanges on the command line, and the whole at a glance, plain where there is no terminal")
  func frontEnds() async throws {
    try await RealServer.with { server in
      let client = try await server.client()
      _ = try await lines(server, "schedule", "far", "--in", "40d")
      _ = try await lines(server, "publish", "t")
      #expect(try await lines(server, "queues") == ["no queues"])
      #expect(try await lines(server, "exchanges").contains { $0.hasPrefix("amq.topic ") })
      let listed = try await lines(server, "exchanges", "--json")[0]
      #expect(listed.contains(#""exchange":"amq.topic""#))
      let once = try await lines(server, "top", "--once")
      let text = once.joined(separator: "\n")
      #expect(once[0].hasPrefix("escapement/") && !text.contains("\u{1B}"), "\(text)")
      for word in ["pending 1 ", "wheel 1", "disk ", "topic / group", "far ", "late: "] {
        #expect(text.contains(word), "\(word) in \(text)")
      }
      let overview = try await client.overview(limit: 1)
      #expect(overview.topics.map(\.topic) == ["far"] && overview.hasMore)
      let inside = try #require(overview.inside)
      #expect(inside.slices.reduce(0) { $0 + $1.pending } == 1 && inside.stats["pending"] == 1)
      #expect(inside.latenessCounts.count == inside.latenessBoundsMs.count + 1)
      await client.close()
    }
  }

  @Test("dead letters on the command line")
  func redrive() async throws {
    try await RealServer.with { server in
      let client = try await server.client()
      for _ in 0..<3 { try await client.publish(topic: "t", body: .null) }
      for message in try await client.fetch(topic: "t", group: "g", options: ConsumeOptions(maxAttempts: 1)) {
        message.nack(delayMs: 0)
      }
      _ = try await client.fetch(topic: "t.g.dlq", group: "judge", waitMs: 10_000)
      #expect(try await lines(server, "redrive", "t", "g", "--limit", "2") == [#"{"redriven":2,"remaining":1}"#])
      #expect(try await lines(server, "redrive", "t", "g") == [#"{"redriven":1,"remaining":0}"#])
      let refused = try await run("escapement", ["redrive", "t", "none", "--server", await server.address])
      #expect(refused.status == 1 && refused.errors.contains("not_found"))
      await client.close()
    }
  }

  @Test("listen says on the standard error what was lost and that the topic ended, and ends with 0")
  func listenToTheEnd() async throws {
    try await RealServer.with { server in
      let client = try await server.client()
      try await client.createTopic("t", retentionMs: 1_000)
      try await client.publish(topic: "t", body: .null)
      try await client.seek(topic: "t", group: "g", to: .earliest)
      while try await client.topics()[0].firstOffset == 0 {}
      try await client.publish(topic: "t", body: .text("kept"))
      async let listening = run("escapement", ["listen", "t", "--group", "g", "--server", server.address])
      while try await client.topics()[0].groups[0].committed < 2 {}
      try await client.deleteTopic("t")
      let outcome = try await listening
      #expect(outcome.status == 0)
      #expect(outcome.output.hasSuffix(#","body":"kept"}"# + "\n"))
      #expect(outcome.errors.contains("from 0 to 0") && outcome.errors.contains("the end of 't': topic_deleted"))
      await client.close()
    }
  }

  @Test("the demo keeps every promise")
  func demo() async throws {
    let outcome = try await run("escapement", ["demo"])
    #expect(outcome.status == 0, "\(outcome.output)\(outcome.errors)")
    #expect(outcome.output.contains("reconnect") || outcome.output.contains("connected again"), "\(outcome.output)")
  }

  @Test("example: orders that time out unless they are paid")
  func orderTimeouts() async throws {
    try await RealServer.with { server in
      let outcome = try await run("OrderTimeouts", [await server.address])
      #expect(outcome.status == 0, "\(outcome.errors)")
      let lines = outcome.output.split(separator: "\n")
      #expect(lines.count == 6 && lines[3].hasSuffix("-2 paid, time-out cancelled"), "\(lines)")
      #expect(lines[4].contains("-1 was not paid") && lines[5].contains("-3 was not paid"), "\(lines)")
    }
  }

  @Test("example: automatic reviews")
  func automaticReviews() async throws {
    try await RealServer.with { server in
      let outcome = try await run("AutomaticReviews", ["--after", "0.5", await server.address])
      #expect(outcome.status == 0, "\(outcome.errors)")
      let lines = outcome.output.split(separator: "\n")
      #expect(lines.count == 7 && lines[3].hasSuffix("-1 delivered, automatic review kept"), "\(lines)")
      #expect(
        lines[5].hasSuffix("-1 gets 5 stars, automatically") && lines[6].hasSuffix("-3 gets 5 stars, automatically"))
    }
  }

  @Test("the README shows the Python example as it is")
  func readmeShowsTheExample() throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appending(path: "../..")
    let readme = try String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)
    let example = try String(contentsOf: root.appending(path: "Examples/python/order_timeouts.py"), encoding: .utf8)
    #expect(readme.contains("```python\n\(example)```\n"))
    #expect(example.split(separator: "\n", omittingEmptySubsequences: false).dropLast().count <= 50)
  }
}
