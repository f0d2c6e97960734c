// The RabbitMQ front end over the engine, without connections: one sentence of docs/rabbitmq.md a test, starts among them.
//
// Leaves to others: loss of power (RetryLadderTests), JSON lines and connections (EndToEnd), tables by themselves
// (RabbitMQFrontEndTests).

import Broker
import LineProtocol
import Primitives
import SimulatedDisk
import Testing

@testable import RabbitMQFrontEnd

@Suite("the RabbitMQ front end")
struct RabbitMQTests {
  /// A server's front end that is asked directly.
  private final class Run: PowerCutRun {
    private(set) var front: RabbitMQ!
    /// What came to consumers, as `{"exchange":…} body`.
    var received: [String] = []

    /// Started, with nothing in it.
    static func started() -> Run {
      let run = Run(seed: 1, crashAt: nil)
      run.checkpointBytes = 1 << 20
      run.run(turns: 0)
      return run
    }

    override func opened() {
      front = RabbitMQ(broker)
      front.restore { _ = machine!.io.drain() }
    }

    override func received(_ delivery: Delivery) {
      var shown = ByteBuffer()
      front.writeFields(of: delivery.record, to: &shown)
      received.append(
        "\(String(decoding: shown.readable, as: UTF8.self)) \(String(decoding: delivery.record.body, as: UTF8.self))")
    }

    /// A turn, and everything that it leads to.
    func act(_ body: () throws -> Void) {
      turn {
        front.deleteIdleQueues()
        try body()
      }
      for _ in 0..<4 {
        turn { front.deleteIdleQueues() }
        rest(turns: 1, ms: 0)
      }
    }

    func pass(ms: Int64) {
      time.nowNs += ms * TimeUnits.nsPerMs
      act {}
    }

    func restart() {
      act {}
      restart(cleanly: false, salvaging: false)
      act {}
    }

    func exchange(_ name: Text, _ kind: ExchangeKind = .direct, isAutoDelete: Bool = false) throws {
      _ = try front.declare(
        RabbitMQ.ExchangeDeclaration(
          name: name, kind: kind, isDurable: true, isAutoDelete: isAutoDelete, isInternal: false, arguments: []))
    }

    @discardableResult
    func queue(
      _ name: Text, isExclusive: Bool = false, isAutoDelete: Bool = false, _ arguments: [JSONTree.Member] = []
    ) throws -> Queue {
      try front.declare(
        RabbitMQ.QueueDeclaration(
          name: name, isDurable: true, isExclusive: isExclusive, isAutoDelete: isAutoDelete, arguments: arguments), 1
      ).value
    }

    func bind(_ queue: Text, _ exchange: Text, _ key: Text) throws {
      _ = try front.bind(queue, exchange, key, [], 1)
    }

    @discardableResult
    func publish(
      _ body: String, _ exchange: Text, _ key: Text, isPersistent: Bool = true, expiration: Int? = nil,
      headers: String = "{}"
    ) throws -> PublicationOutcome {
      let reader = RequestReader()
      let properties = "{\"properties\":{\"headers\":\(headers)}}"
      return try Array(properties.utf8).withUnsafeBytes { line in
        try Array(body.utf8).withUnsafeBytes { body in
          var publication = Publication(exchange: exchange, routingKey: key, body: body, encoding: .text)
          try reader.parse(line)
          publication.properties = .json(try #require(try reader.object(.properties)))
          publication.isPersistent = isPersistent
          publication.expiration = expiration.map { Text("\($0)") }
          return try front.publish(publication)
        }
      }
    }

    /// Messages ready in a queue; nil when there is no such queue.
    func count(_ name: Text) -> Int? { (try? front.queue(name, 1)).map { front.messageCount($0) } }
  }

  private static let deadLetters: [JSONTree.Member] = [
    .init("x-dead-letter-exchange", .string("dead")), .init("x-dead-letter-routing-key", .string("letters")),
  ]

  @Test("a message lives for the shorter of its own time and its queue's", arguments: [(100, 10_000), (10_000, 100)])
  func timeToLive(own: Int, queues: Int64) {
    let run = Run.started()
    run.act {
      try run.queue("q", [.init("x-message-ttl", .integer(queues))])
      try run.publish("1", "", "q", expiration: own)
    }
    #expect(run.count("q") == 1)
    run.pass(ms: 200)
    #expect(run.count("q") == 0 && run.complaints == [])
  }

  @Test("a dead letter with a routing key of its own leaves the copies of the message behind")
  func copies() {
    let run = Run.started()
    run.act {
      try run.exchange("dead")
      for name in ["letters", "copies"] as [Text] { try run.queue(name) }
      try run.bind("letters", "dead", "letters")
      try run.bind("copies", "dead", "copy")
      try run.queue("q", Self.deadLetters)
      try run.publish("1", "", "q", expiration: 0, headers: #"{"CC":["copy"]}"#)
      try run.publish("2", "", "q", expiration: 0, headers: #"{"BCC":["copy"]}"#)
    }
    run.pass(ms: 10)
    #expect(run.count("q") == 0 && run.count("letters") == 2 && run.count("copies") == 0)
    #expect(run.complaints == [])
  }

  @Test("a blind copy is delivered, and nobody is shown to whom")
  func blindCopies() {
    let run = Run.started()
    run.act {
      for name in ["q", "blind"] as [Text] {
        let queue = try run.queue(name)
        _ = try run.front.consume(queue, sub: 1, connection: 1, prefetch: 0, noAck: true)
      }
      try run.publish("1", "", "q", headers: #"{"BCC":["blind"],"x":"seen"}"#)
    }
    #expect(run.received.count == 2)
    for delivery in run.received { #expect(delivery.contains("seen") && !delivery.contains("BCC"), "\(delivery)") }
  }

  @Test("a delivery limit of n allows n + 1 deliveries", arguments: [0, 1, 3])
  func deliveryLimit(limit: Int) {
    let run = Run.started()
    var queue: Queue?
    run.act {
      queue = try run.queue("q", [.init("x-delivery-limit", .integer(Int64(limit)))])
      _ = try run.front.consume(queue!, sub: 1, connection: 1, prefetch: 0, noAck: false)
      try run.publish("1", "", "q")
    }
    for _ in 0..<6 { run.act { _ = try run.broker.requeue(queue!.group, [0], .refused) } }
    #expect(run.received.count == limit + 1 && run.complaints == [])
  }

  @Test("an auto-delete queue goes with its last consumer, not with the first")
  func autoDeleteQueue() throws {
    let run = Run.started()
    var consumers: [Consumer] = []
    run.act {
      let queue = try run.queue("q", isAutoDelete: true)
      for connection in [1, 2] as [UInt64] {
        consumers.append(
          try run.front.consume(queue, sub: 1, connection: connection, prefetch: 0, noAck: false))
      }
    }
    for (place, consumer) in consumers.enumerated() {
      run.act {
        run.broker.remove(consumer)
        run.front.consumerLeft(try run.front.queue("q", 1), consumer)
      }
      #expect(run.count("q") == (place == 0 ? 0 : nil))
    }
    #expect(run.complaints == [])
  }

  @Test("an exclusive queue is its connection's alone, and goes with it")
  func exclusiveQueue() {
    let run = Run.started()
    run.act { try run.queue("q", isExclusive: true) }
    #expect(throws: AMQPError.self) { try run.front.queue("q", 2) }
    #expect(run.count("q") == 0)
    run.act { run.front.connectionEnded(1) }
    #expect(run.count("q") == nil)
  }

  @Test("an auto-delete exchange goes with its last binding, not with the first")
  func autoDeleteExchange() {
    let run = Run.started()
    run.act {
      try run.exchange("e", isAutoDelete: true)
      try run.queue("q")
      for key in ["a", "b"] as [Text] { try run.bind("q", "e", key) }
      _ = try run.front.unbind("q", "e", "a", [], 1)
    }
    run.act { try run.publish("1", "e", "b") }
    #expect(run.count("q") == 1)
    run.act { _ = try run.front.unbind("q", "e", "b", [], 1) }
    #expect(throws: AMQPError.self) { try run.front.checkExchange("e") }
    #expect(run.complaints == [])
  }

  @Test("a deleted queue leaves no bindings behind")
  func deletedQueue() {
    let run = Run.started()
    run.act {
      try run.exchange("e")
      try run.queue("q")
      try run.bind("q", "e", "k")
      _ = try run.front.deleteQueue("q", ifUnused: false, ifEmpty: false, 1)
    }
    var isRouted = true
    run.act { isRouted = try run.publish("1", "e", "k").isRouted }
    #expect(!isRouted && run.complaints == [])
  }

  @Test("what a full queue refuses goes to its dead letters when it says so")
  func fullQueue() {
    let run = Run.started()
    var refusals: [Text?] = []
    run.act {
      try run.exchange("dead")
      try run.queue("letters")
      try run.bind("letters", "dead", "letters")
      try run.queue(
        "q",
        Self.deadLetters + [.init("x-max-length", .integer(1)), .init("x-overflow", .string("reject-publish-dlx"))])
      for number in 1...3 { refusals.append(try run.publish("\(number)", "", "q").refusedBy) }
    }
    #expect(refusals == [nil, "q", "q"] && run.count("q") == 1 && run.count("letters") == 2)
  }

  @Test("the confirm of a persistent message waits for the disk, that of a transient one for nothing")
  func confirms() throws {
    let run = Run.started()
    run.act { try run.queue("q") }
    var persistent = Gate.open
    var transient = Gate.open
    run.act {
      persistent = try run.publish("1", "", "q").gate
      transient = try run.publish("2", "", "q", isPersistent: false).gate
    }
    #expect(persistent > .open && transient == .open)
  }

  @Test("persistent messages survive a restart, transient ones do not")
  func survivors() {
    let run = Run.started()
    run.act {
      try run.queue("q")
      for number in 1...3 { try run.publish("\(number)", "", "q", isPersistent: number == 2) }
    }
    #expect(run.count("q") == 3)
    run.restart()
    run.act {
      let queue = try run.front.queue("q", 1)
      _ = try run.front.consume(queue, sub: 1, connection: 1, prefetch: 0, noAck: true)
    }
    #expect(run.received.count == 1 && run.received.first?.hasSuffix(" 2") == true)
  }

  @Test("bindings after a start are those before it, and later ones take nobody's place")
  func bindings() {
    let run = Run.started()
    run.act {
      try run.exchange("e")
      for name in ["a", "b", "c", "d"] as [Text] { try run.queue(name) }
      for name in ["a", "b", "c"] as [Text] { try run.bind(name, "e", name) }
      _ = try run.front.unbind("a", "e", "a", [], 1)
    }
    run.restart()
    run.act { try run.bind("d", "e", "d") }
    run.restart()
    run.act { for name in ["a", "b", "c", "d"] as [Text] { try run.publish("1", "e", name) } }
    #expect(["a", "b", "c", "d"].map { run.count(Text($0)) } == [0, 1, 1, 1] && run.complaints == [])
  }

  @Test("a queue that nobody uses expires, and its time begins anew at a start")
  func idleQueue() {
    let run = Run.started()
    run.act { try run.queue("q", [.init("x-expires", .integer(1000))]) }
    run.pass(ms: 700)
    run.restart()
    run.pass(ms: 700)
    #expect(run.front.queuesInOrder.map(\.name) == ["q"])
    run.pass(ms: 400)
    #expect(run.front.queuesInOrder.isEmpty && run.complaints == [])
  }
}
