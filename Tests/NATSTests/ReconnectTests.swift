import TLS
import Testing

@testable import NATS

@Suite("from one server to the next")
struct ReconnectTests {
  private static func info(_ rest: String) -> String {
    ClientBench.info.replacing("}", with: ",\(rest)}")
  }

  @Test("every server is tried once before one is tried again, 0.05 to 1 s apart", arguments: 0..<20 as Range<UInt64>)
  func rounds(_ seed: UInt64) {
    let bench = ClientBench("nats://a:1,nats://b:2,nats://c:3", seed: seed)
    bench.transport.refusedPorts = [1, 2, 3]
    var times: [Int64] = []
    for _ in 0..<1000 where bench.transport.opened.count < 30 {
      let before = bench.transport.opened.count
      bench.turn()
      if bench.transport.opened.count > before { times.append(bench.nowMs) }
      bench.turn(afterMs: max(1, bench.client.nextTurnMs - bench.nowMs))
      if bench.transport.opened.count > times.count { times.append(bench.nowMs) }
    }
    let ports = bench.transport.opened.map(\.port)
    for start in stride(from: 0, to: 30, by: 3) { #expect(ports[start..<(start + 3)].sorted() == [1, 2, 3]) }
    let pauses = zip(times.dropFirst(), times).map { $0 - $1 }
    #expect(pauses.allSatisfy { $0 >= 50 && $0 <= 1000 }, "\(pauses)")
    #expect(pauses.prefix(2).allSatisfy { $0 <= 100 } && pauses.suffix(5).allSatisfy { $0 >= 500 }, "\(pauses)")
  }

  @Test("servers are learned from INFO, also later, and the one that was lost comes last")
  func learning() {
    let bench = ClientBench("nats://me:secret@a:1")
    bench.connect(Self.info(#""connect_urls":["b:2","[::1]:3","a:1","nonsense:99999","b:2"]"#))
    bench.transport.refusedPorts = [2, 3]
    bench.transport.end()
    bench.turn()
    bench.connect()
    let opened = bench.transport.opened.suffix(3)
    #expect(opened.map(\.port).sorted() == [1, 2, 3] && opened.last?.port == 1)
    #expect(opened.allSatisfy { $0.credentials == .password(user: "me", password: "secret") })
    bench.transport.say(Self.info(#""connect_urls":["d:4"]"#))
    bench.turn()
    bench.transport.refusedPorts = [1]
    bench.transport.end()
    bench.turn()
    bench.connect()
    #expect(bench.transport.opened.last?.port == 4)
  }

  @Test("a server that is about to end is left when nothing is in flight")
  func lameDuck() {
    let bench = ClientBench("nats://a:1,nats://b:2")
    bench.connect()
    let first = bench.transport.opened.last?.port
    let call = bench.ask()
    bench.transport.say(Self.info(#""ldm":true"#))
    #expect(bench.turn(afterMs: 100) == [])
    #expect(!bench.client.isConnected)
    // Not begun here any more.
    let late = bench.ask()
    bench.reply(call, "done")
    let events = bench.turn(afterMs: 100)
    #expect(events.prefix(2) == ["unanswered \(late.number)", "reply \(call.number) done"])
    #expect(events.last?.contains("about to end") == true)
    bench.connect()
    #expect(bench.transport.opened.last?.port != first)
    #expect(bench.client.isConnected)
  }

  @Test("a server that is about to end is left after a second in any case, but not when there is no other one")
  func lameDuckWithCalls() {
    let bench = ClientBench("nats://a:1,nats://b:2")
    bench.connect()
    _ = bench.ask(timeoutMs: 5000)
    bench.transport.say(Self.info(#""ldm":true"#))
    #expect(bench.turn() == [])
    let events = bench.turn(afterMs: 1000)
    #expect(events.first == "unanswered 1" && events.last?.contains("about to end") == true)

    let alone = ClientBench("nats://a:1")
    alone.connect()
    alone.transport.say(Self.info(#""ldm":true"#))
    #expect(alone.turn(afterMs: 500) == [])
    #expect(alone.client.isConnected)
  }

  @Test("leaving a server on purpose takes the pause that is asked for")
  func leaving() {
    let bench = ClientBench()
    bench.connect()
    bench.client.leaveServer(reason: "it is too old", pauseMs: 700)
    #expect(bench.turn() == ["disconnected one:1: it is too old"])
    #expect(bench.client.nextTurnMs == bench.nowMs + 700)
    bench.client.stop()
    bench.turn()
    #expect(bench.client.nextTurnMs == .max)
  }

  @Test(
    "nothing is sent without TLS where it is demanded",
    arguments: [
      ("tls://a:1", "", "TLS is demanded"), ("nats://a:1", #","tls_required":true"#, "none is set up here"),
      ("tls://a:1", #","tls_available":true"#, "none is set up here"),
    ])
  func demandedTLS(_ server: String, _ rest: String, _ reason: String) {
    let bench = ClientBench(server)
    bench.turn()
    bench.transport.say(ClientBench.info.replacing("}", with: "\(rest)}"))
    let events = bench.turn()
    #expect(events.count == 1 && events[0].contains(reason), "\(events)")
    #expect(bench.transport.takeSent() == "")
  }

  @Test("what comes before the handshake of TLS is not taken for what came under it", arguments: [false, true])
  func bytesBeforeTLS(_ comeTogether: Bool) throws {
    let context = try TLSContext(client: .system)
    let bench = ClientBench { $0.tls = .always(context) }
    bench.turn()
    bench.transport.say(ClientBench.info.replacing("}", with: #","tls_available":true}"#))
    if comeTogether { bench.transport.say("PING\r\n") }
    let events = bench.turn()
    if comeTogether {
      #expect(events.count == 1 && events[0].contains("before the handshake"), "\(events)")
      #expect(bench.transport.sent.isEmpty)
    } else {
      #expect(events == [])
      // The hello of TLS, and nothing else.
      #expect(bench.transport.sent.starts(with: [0x16, 0x03]))
      bench.transport.say("PING\r\n")
      #expect(bench.turn().first?.contains("TLS") == true)
    }
  }
}
