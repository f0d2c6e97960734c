import ReplicatedStream
import Testing

@testable import JetStream

@Suite("opening a stream")
struct OpeningTests {
  @Test("a stream that is as it must be is taken, and its identity is known to the nanosecond")
  func good() {
    let bench = StreamBench()
    #expect(bench.stream.link == .away && bench.stream.identity == nil)
    #expect(bench.open())
    #expect(bench.events == [.link(.connected)])
    #expect(bench.stream.identity == StreamIdentity(name: "ESC-0", createdNs: 1_772_357_400_123_456_789))
  }

  @Test("a stream that is not there is made, if that is allowed")
  func making() {
    let bench = StreamBench()
    bench.server.created = nil
    #expect(bench.open())
    #expect(bench.stream.identity?.createdNs == 1_772_357_400_000_000_000)

    let other = StreamBench { $0.mayCreate = false }
    other.server.created = nil
    #expect(other.wait { !other.problems.isEmpty })
    #expect(other.problems[0].contains("there is no stream 'ESC-0'"))
    #expect(!other.server.requests.contains { $0.subject.contains("CREATE") })
  }

  @Test("a stream that cannot be made is a problem, unless nobody leads at the moment")
  func cannotBeMade() {
    let bench = StreamBench()
    bench.server.created = nil
    func fail(_ number: Int) {
      bench.server.answerInstead = {
        $0.subject.contains("CREATE") ? [#"{"error":{"err_code":\#(number),"description":"words"}}"#] : nil
      }
    }
    fail(10008)
    #expect(!bench.wait { !bench.problems.isEmpty })
    fail(10074)
    #expect(bench.wait { bench.problems.first?.contains("cannot be made: words (10074)") == true })
    bench.server.answerInstead = { _ in nil }
    #expect(bench.open())
  }

  @Test(
    "a stream that is set up otherwise is refused, and the difference told",
    arguments: [
      (#""num_replicas":1"#, #""num_replicas":3"#, "num_replicas is 3 and must be 1"),
      (#""discard":"new""#, #""discard":"old""#, #"discard is "old" and must be "new""#),
      (#""deny_delete":true"#, #""deny_delete":false"#, "deny_delete is false and must be true"),
      (#""allow_direct":true,"#, "", "allow_direct is not set and must be true"),
      (#""max_bytes":1000000"#, #""max_bytes":-1"#, "max_bytes is -1"),
      (#""dest":"escr.0""#, #""dest":"escr.0","headers_only":true"#, "republish is"),
      (#""name":"ESC-0""#, #""name":"ESC-0","allow_msg_ttl":true"#, "allow_msg_ttl must not be true"),
      (#""name":"ESC-0""#, #""name":"ESC-0","sources":[{"name":"x"}]"#, "sources must not be"),
      ("shard 0 of 8", "shard 1 of 8", "description is"), ("shard 0 of 8", "shard 0 of many", "description is"),
      ("shard 0 of 8", "shard 0 of 4", "made with 4 shards"), ("shard 0 of 8", "shard 0 of 4", "'--shards 4'"),
      (#""description":"shard 0 of 8","#, "", "description is not set"),
      (#"["esc.0"]"#, #"["esc.0","esc.1"]"#, "subjects is"),
    ])
  func different(_ part: String, _ other: String, _ words: String) {
    let bench = StreamBench()
    bench.server.configuration = bench.server.configuration.replacing(part, with: other)
    #expect(bench.wait { !bench.problems.isEmpty })
    #expect(bench.problems[0].contains(words), "\(bench.problems[0])")
    #expect(!bench.wait { bench.stream.link == .connected })
    #expect(bench.problems.count == 1, "the same thing is told once")
  }

  @Test("what a server adds of its own, and the order of members, is no difference")
  func additions() {
    let bench = StreamBench()
    bench.server.configuration =
      bench.server.configuration.replacing("{\"name\"", with: "{\"max_msgs_per_subject\":-1,\"name\"")
      .replacing("\"deny_purge\":false,", with: "").dropLast()
      + #","duplicate_window":120000000000,"compression":"none","sealed":false,"metadata":{"_nats.level":"5"}}"#
    #expect(bench.open())
  }

  @Test(
    "a server that must not be used is refused, and it is told what to do",
    arguments: [
      (#""version":"2.15.0""#, "2.15.1 or later"), (#""version":"2.9.99""#, "upgrade"),
      (#""version":"2.15.1-dev""#, "upgrade"), (#""version":"new""#, "'new'"),
      (#""max_payload":65536"#, "'max_payload'"),
      (#""headers":false"#, "no_header_support"),
    ])
  func server(_ member: String, _ words: String) {
    let bench = StreamBench()
    let name = member.split(separator: ":")[0]
    bench.server.info = bench.server.info.split(separator: ",").map { part in
      part.contains(name) ? (part.hasSuffix("}") ? "\(member)}" : member) : String(part)
    }.joined(separator: ",")
    #expect(bench.wait { !bench.problems.isEmpty })
    #expect(bench.problems[0].contains(words), "\(bench.problems[0])")
    bench.server.info = ModelServer().info
    #expect(bench.open(), "and is taken when it has been put right")
  }

  @Test("versions are compared by their numbers", arguments: ["2.15.1", "2.15.2", "2.16.0", "3.0.0", "2.15.1+build"])
  func versions(_ text: String) {
    #expect(ServerVersion.isGood(text))
    #expect(ServerVersion.isGood("2.15.2-RC.1"))
    for none in ["", "2", "2.15", "2.15.x", "2.15.1.1", "-1.2.3", "2.15.1-dev", "2.15.0", "1.99.99"] {
      #expect(!ServerVersion.isGood(none), "\(none)")
    }
  }

  @Test(
    "servers must say that they write before they answer",
    arguments: [
      ([ModelServer.report("n1", "2.15.1", false)], "sync_interval: always"),
      ([ModelServer.report("n1", "2.14.9")], "upgrade"), (["NATS/1.0 503\r\n\r\n"], "export the service"),
      ([], "export the service"), ([ModelServer.report("stranger", "2.15.1", false)], "export the service"),
      ([#"{"server":{"name":"n1","ver":"2.15.1"},"data":{"disabled":true}}"#], "sync_interval: always"),
      (["{}"], "export the service"), (["garbage"], "export the service"),
    ])
  func syncing(_ reports: [String], _ words: String) {
    let bench = StreamBench()
    bench.server.reports = reports
    #expect(bench.wait { !bench.problems.isEmpty })
    #expect(bench.problems[0].contains(words), "\(bench.problems[0])")
    #expect(bench.stream.link == .away)
    #expect(StreamBench { $0.mustSyncAlways = false }.open())
  }

  @Test("of three servers two must have answered, and each that has must be good")
  func majority() {
    func bench(_ reports: [String]) -> StreamBench {
      let bench = StreamBench { $0.replicas = 3 }
      let server = bench.server
      server.reports = reports
      server.answerInstead = { [unowned server] request in
        guard request.subject.contains("INFO") else { return nil }
        let replicas = #""replicas":[{"name":"n2","current":true},{"name":"n3"}]"#
        return [server.streamInfo.replacing(#""leader":"n1""#, with: #""leader":"n1",\#(replicas)"#)]
      }
      return bench
    }
    #expect(bench([ModelServer.report("n1"), ModelServer.report("n3")]).open())
    for reports in [[ModelServer.report("n2")], [ModelServer.report("n2"), ModelServer.report("n2")]] {
      let alone = bench(reports)
      #expect(!alone.wait { alone.stream.link == .connected })
    }
    let mixed = bench([ModelServer.report("n2"), ModelServer.report("n1"), ModelServer.report("n3", "2.15.1", false)])
    #expect(mixed.wait { mixed.problems.first?.contains("'n3'") == true })
  }

  @Test(
    "once all was well, a server that does not answer holds up no reconnecting, and one that changed for the worse is found"
  )
  func later() {
    let bench = StreamBench()
    #expect(bench.open())
    bench.server.reports = []
    bench.stream.client.leaveServer(reason: "test")
    bench.turn()
    #expect(bench.stream.link == .away)
    let beganMs = bench.nowMs
    #expect(bench.open())
    #expect(bench.nowMs - beganMs < 200)
    bench.server.reports = [ModelServer.report("n1", "2.15.1", false)]
    #expect(bench.wait(ms: 65_000) { bench.stream.link == .away })
    #expect(bench.problems.last?.contains("sync_interval") == true)
  }

  @Test("another stream in the place of ours is never taken")
  func replaced() {
    let bench = StreamBench()
    #expect(bench.open())
    bench.server.created = "2026-03-01T09:30:00.123456790Z"
    bench.stream.client.leaveServer(reason: "test")
    bench.turn()
    #expect(!bench.wait { bench.stream.link == .connected })
    #expect(bench.problems.count == 1 && bench.problems[0].contains("made again"))
  }

  @Test("a stream that is gone is not made again, also not by a node that knows it from an earlier life")
  func gone() {
    let bench = StreamBench()
    #expect(bench.open())
    bench.server.created = nil
    bench.stream.client.leaveServer(reason: "test")
    bench.turn()
    #expect(!bench.wait { bench.stream.link == .connected })
    #expect(bench.problems.count == 1 && bench.problems[0].contains("is gone"))

    let known = StreamIdentity(name: "ESC-0", createdNs: 1_772_357_400_123_456_789)
    let restarted = StreamBench { $0.identity = known }
    restarted.server.created = nil
    #expect(!restarted.wait { restarted.stream.link == .connected })
    #expect(restarted.problems.count == 1 && restarted.problems[0].contains("is gone"))
    restarted.server.created = "2026-03-02T09:30:00Z"
    #expect(!restarted.wait { restarted.stream.link == .connected })
    restarted.server.created = "2026-03-01T09:30:00.123456789Z"
    #expect(restarted.open())
    for server in [bench.server, restarted.server] {
      #expect(!server.requests.contains { $0.subject.contains("CREATE") })
    }
  }

  @Test("what cannot be reached for long is told, with the reason, and not at once")
  func unreachable() {
    let bench = StreamBench()
    bench.server.answerInstead = { $0.subject.contains("INFO") ? ["NATS/1.0 503\r\n\r\n"] : nil }
    #expect(!bench.wait(ms: 10_000) { !bench.problems.isEmpty })
    #expect(bench.wait(ms: 10_000) { !bench.problems.isEmpty })
    bench.server.answerInstead = { _ in nil }
    #expect(bench.open())
    let other = StreamBench()
    other.server.isRefusing = true
    #expect(other.wait(ms: 20_000) { other.problems.first?.contains("connect to") == true })
  }
}
