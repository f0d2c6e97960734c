import Primitives
import Testing

@testable import NATS

@Suite("a client of NATS")
struct ClientTests {
  @Test("it introduces itself after the first INFO, and is connected with the PONG")
  func introduction() {
    let bench = ClientBench("nats://u%40x:p%22@one:1")
    let number = bench.client.subscribe(to: "escr.0")
    #expect(bench.turn() == [])
    #expect(bench.transport.takeSent() == "")
    bench.transport.say(ClientBench.info)
    #expect(bench.turn() == [])
    let inbox = bench.client.inbox
    #expect(
      bench.transport.takeSent() == #"CONNECT {"verbose":false,"pedantic":false,"headers":true,"no_responders":true,"#
        + #""protocol":1,"echo":false,"lang":"swift","version":"1","name":"test","user":"u@x","pass":"p\""}"#
        + "\r\nSUB \(inbox)* 1\r\nSUB escr.0 \(number)\r\nPING\r\n")
    #expect(inbox.utf8.count == "_INBOX.".utf8.count + 23)
    #expect(!bench.client.isConnected)
    bench.transport.say("PONG\r\n")
    #expect(bench.turn() == ["connected"])
    #expect(bench.client.isConnected && bench.client.info?.version == "2.15.1")
  }

  @Test("a request without and with a header, and its reply")
  func request() {
    let bench = ClientBench()
    bench.connect()
    let plain = bench.ask("a.b", "hello")
    let counted = "data".withBytes {
      bench.client.request("esc.0", $0, header: NATSHeader("Nats-Expected-Last-Sequence", 1234), timeoutMs: 1000)
    }
    bench.turn()
    let inbox = bench.client.inbox
    #expect(
      bench.transport.takeSent() == "PUB a.b \(inbox)1 5\r\nhello\r\n"
        + "HPUB esc.0 \(inbox)2 47 51\r\nNATS/1.0\r\nNats-Expected-Last-Sequence: 1234\r\n\r\ndata\r\n")
    bench.reply(counted, "two")
    bench.reply(plain, "one")
    #expect(bench.turn() == ["reply 2 two", "reply 1 one"])
    bench.reply(plain, "again")
    #expect(bench.turn() == [])
  }

  @Test("a call that takes several replies goes on until it is ended, and each gives it time")
  func several() {
    let bench = ClientBench()
    bench.connect()
    let call = bench.ask(several: true)
    for _ in 0..<3 {
      bench.transport.say("PONG\r\n")
      bench.reply(call, "x")
      #expect(bench.turn(afterMs: 900) == ["reply 1 x"])
    }
    bench.client.end(call)
    bench.reply(call, "late")
    #expect(bench.wait(ms: 900) == [])
    #expect(bench.client.calls.isEmpty)
  }

  @Test("a call without a reply is unanswered at its time, and not before what has come was read")
  func timeout() {
    let bench = ClientBench()
    bench.connect()
    let call = bench.ask()
    #expect(bench.turn(afterMs: 999) == [])
    bench.reply(call, "just in time")
    // The process was stopped for a while: the answer lies there.
    #expect(bench.turn(afterMs: 2000) == ["reply 1 just in time"])
    _ = bench.ask()
    bench.transport.say("PONG\r\n")
    #expect(bench.client.nextTurnMs <= bench.nowMs + 1000)
    #expect(bench.wait(ms: 1500) == ["unanswered 2"])
  }

  @Test("when the connection ends, calls in flight are unanswered, and nothing is sent again")
  func lostConnection() {
    let bench = ClientBench("nats://one:1,nats://two:2")
    bench.connect()
    _ = bench.ask("a", "first")
    _ = bench.ask("a", "second")
    bench.turn()
    bench.transport.end()
    let events = bench.turn()
    #expect(events.dropLast() == ["unanswered 1", "unanswered 2"])
    #expect(events.last?.contains("has closed") == true)
    _ = bench.ask("a", "third")
    #expect(bench.turn() == ["unanswered 3"])
    bench.connect()
    bench.turn()
    #expect(!bench.transport.takeSent().contains("PUB"))
    #expect(bench.transport.opened[0].port != bench.transport.opened[1].port)
  }

  @Test("subscriptions stand again after each connecting")
  func subscriptions() {
    let bench = ClientBench()
    bench.connect()
    let number = bench.client.subscribe(to: "escr.>")
    bench.turn()
    #expect(bench.transport.takeSent() == "SUB escr.> \(number)\r\n")
    bench.transport.say("MSG escr.0 \(number) 1\r\nx\r\n")
    #expect(bench.turn() == ["message 2 x"])
    bench.transport.end()
    bench.turn()
    while !bench.transport.isOpen { bench.turn(afterMs: 10) }
    bench.transport.say(ClientBench.info)
    bench.turn()
    #expect(bench.transport.takeSent().contains("SUB escr.> \(number)\r\nPING\r\n"))
  }

  @Test("it answers PING, sends its own each second, and leaves a server that is silent for 3 s")
  func liveness() {
    let bench = ClientBench()
    bench.connect()
    bench.transport.say("PING\r\n")
    bench.turn()
    #expect(bench.transport.takeSent() == "PONG\r\n")
    for _ in 0..<10 {
      #expect(bench.turn(afterMs: 1000) == [])
      #expect(bench.transport.takeSent() == "PING\r\n")
      bench.transport.say("PONG\r\n")
      #expect(bench.turn() == [])
    }
    #expect(bench.turn(afterMs: 1000) == [])
    let silentSinceMs = bench.nowMs
    let events = bench.wait(ms: 10_000)
    #expect(events.count == 1 && events[0].contains("no answer for 3000 ms"))
    #expect(bench.nowMs == silentSinceMs + 3000)
  }

  @Test("a process that was stopped for long does not take the server for dead")
  func stopped() {
    let bench = ClientBench()
    bench.connect()
    bench.turn(afterMs: 1000)
    bench.transport.say("PONG\r\n")
    #expect(bench.turn(afterMs: 60_000) == [])
    #expect(bench.client.isConnected)
  }

  @Test("a server that does not say who it is, or does not accept, is given up in time", arguments: [false, true])
  func slowGreeting(_ greets: Bool) {
    let bench = ClientBench()
    bench.turn()
    if greets { bench.transport.say(ClientBench.info) }
    bench.turn(afterMs: 1999)
    #expect(bench.transport.isOpen)
    let events = bench.turn(afterMs: 1)
    #expect(events.count == 1 && events[0].contains("no answer in 2000 ms"))
    #expect(!bench.transport.isOpen)
  }

  @Test(
    "errors of the server end the connection, but for permissions",
    arguments: [
      "Authorization Violation", "Stale Connection", "Maximum Payload Violation", "Unknown Protocol Operation", "",
    ])
  func errors(_ text: String) {
    let bench = ClientBench()
    bench.connect()
    let call = bench.ask()
    bench.transport.say("-ERR 'Permissions Violation for Publish to \"x\"'\r\n")
    #expect(bench.turn() == ["refused Permissions Violation for Publish to \"x\""])
    #expect(bench.client.isConnected)
    bench.transport.say("-ERR '\(text)'\r\n")
    #expect(bench.turn() == ["unanswered \(call.number)", "disconnected one:1: the server says '\(text)'"])
  }

  @Test(
    "garbage from the peer ends the connection with its reason, at every place of the conversation", arguments: 0..<3)
  func garbage(_ place: Int) {
    let bench = ClientBench()
    bench.turn()
    if place > 0 { bench.transport.say(ClientBench.info) }
    if place > 1 { bench.transport.say("PONG\r\n") }
    bench.transport.say("SSH-2.0-OpenSSH_9.6\r\n")
    #expect(bench.turn().last?.contains("does not keep to the protocol") == true)
    #expect(!bench.transport.isOpen)
  }

  @Test("a conversation in single bytes, over a network that takes single bytes")
  func slowNetwork() {
    let bench = ClientBench()
    bench.transport.readBytesMax = 1
    bench.transport.room = 0
    bench.turn()
    bench.transport.say(ClientBench.info)
    for _ in 0..<500 where !bench.transport.takeSent().hasSuffix("PING\r\n") || bench.transport.room == 0 {
      bench.transport.room = 400
      bench.turn()
    }
    bench.transport.room = .max
    bench.transport.say("PONG\r\n")
    var events: [String] = []
    for _ in 0..<10 { events += bench.turn() }
    #expect(events == ["connected"])
    let call = bench.ask("a", String(repeating: "x", count: 1000))
    bench.transport.room = 0
    var sent = ""
    for _ in 0..<3000 where !sent.hasSuffix("x\r\n") {
      bench.transport.room = 1
      bench.turn()
      sent += bench.transport.takeSent()
    }
    #expect(sent == "PUB a \(bench.client.inbox)1 1000\r\n\(String(repeating: "x", count: 1000))\r\n")
    bench.transport.room = .max
    bench.reply(call, String(repeating: "y", count: 500))
    events = []
    for _ in 0..<20 { events += bench.turn() }
    #expect(events == ["reply 1 \(String(repeating: "y", count: 500))"])
  }

  @Test("a connection that ends while we send: what the server said last is the reason")
  func lastWords() {
    let bench = ClientBench()
    bench.connect()
    bench.transport.say("-ERR 'Maximum Payload Violation'\r\n")
    bench.transport.end()
    let call = bench.ask()
    bench.client.flush()
    #expect(
      bench.turn() == ["unanswered \(call.number)", "disconnected one:1: the server says 'Maximum Payload Violation'"])
  }
}
