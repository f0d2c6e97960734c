// Publications that full queues refuse and send on to their dead-letter exchanges: one record each, found again after a kill.
//
//   all ──► first ─┐ refused        refused
//      └──► spare ─┴────────► second ───────► third
//
// Leaves to others: what dead letters look like (RabbitMQFrontEndTests), other dead letters (RetryLadderTests).

import Broker
import LineProtocol
import Primitives
import RabbitMQFrontEnd
import Testing

/// Queues that hold one message each and send on what they refuse; the last one takes everything.
final class RefusedPublicationRun: PowerCutRun {
  static let queues = ["first", "spare", "second", "third"]
  private var rabbitMQ: RabbitMQ?

  override func opened() {
    rabbitMQ = RabbitMQ(broker)
    rabbitMQ!.restore { _ = machine!.io.drain() }
  }

  override func connect() throws {
    _ = try rabbitMQ!.declare(
      RabbitMQ.ExchangeDeclaration(
        name: "all", kind: .fanout, isDurable: true, isAutoDelete: false, isInternal: false, arguments: []))
    for name in Self.queues {
      let next: Text = name == "second" ? "third" : "second"
      let arguments: [JSONTree.Member] = [
        .init("x-max-length", .integer(1)), .init("x-overflow", .string("reject-publish-dlx")),
        .init("x-dead-letter-exchange", .string("")), .init("x-dead-letter-routing-key", .string(next)),
      ]
      _ = try rabbitMQ!.declare(
        RabbitMQ.QueueDeclaration(
          name: Text(name), isDurable: true, isExclusive: false, isAutoDelete: false,
          arguments: name == "third" ? [] : arguments), 1)
    }
    for name in ["first", "spare"] { _ = try rabbitMQ!.bind(Text(name), "all", "", [], 1) }
  }

  /// Publishes a message to both queues; gives the queue that refused it and how many records that took.
  func publish() throws -> (refusedBy: Text?, records: Sequence) {
    var result: (refusedBy: Text?, records: Sequence) = (nil, 0)
    turn {
      let before = broker.records.nextSequence
      try Array("1".utf8).withUnsafeBytes { body in
        var publication = Publication(exchange: "all", routingKey: "", body: body, encoding: .text)
        publication.isPersistent = true
        result.refusedBy = try rabbitMQ!.publish(publication).refusedBy
      }
      result.records = broker.records.nextSequence - before
    }
    return result
  }

  var lengths: [Int] { Self.queues.map { broker.findQueue("rabbitmq/queue/\($0)")!.readyCount } }
}

/// One queue with room for ten bytes, whose messages live for a second.
final class BoundedQueueRun: PowerCutRun {
  private var rabbitMQ: RabbitMQ?

  override func opened() {
    rabbitMQ = RabbitMQ(broker)
    rabbitMQ!.restore { _ = machine!.io.drain() }
  }

  override func connect() throws {
    let arguments: [JSONTree.Member] = [
      .init("x-max-length-bytes", .integer(10)), .init("x-overflow", .string("reject-publish")),
      .init("x-message-ttl", .integer(1000)), .init("x-dead-letter-exchange", .string("")),
      .init("x-dead-letter-routing-key", .string("expired")),
    ]
    for name in ["small", "expired"] {
      _ = try rabbitMQ!.declare(
        RabbitMQ.QueueDeclaration(
          name: Text(name), isDurable: true, isExclusive: false, isAutoDelete: false,
          arguments: name == "small" ? arguments : []), 1)
    }
  }

  /// Messages that nobody has in hand.
  func readyCount(_ name: String) -> Int { broker.findQueue("rabbitmq/queue/\(name)")!.readyCount }

  func consume() throws -> Consumer {
    try broker.consume(broker.findQueue("rabbitmq/queue/small")!, sub: 1, connection: 1, ConsumerOptions())
  }

  /// Publishes ten bytes; says whether they were taken.
  func isTaken() throws -> Bool {
    var isTaken = false
    turn {
      try [UInt8](repeating: 1, count: 10).withUnsafeBytes { body in
        isTaken =
          try rabbitMQ!.publish(Publication(exchange: "", routingKey: "small", body: body, encoding: .bytes)).refusedBy
          == nil
      }
    }
    return isTaken
  }
}

@Suite("publications that full queues refuse")
struct RefusedPublicationTests {
  @Test("go on to the dead-letter exchanges, in one record with what was taken")
  func goOn() throws {
    let run = RefusedPublicationRun(seed: 1, crashAt: nil)
    run.run(turns: 1)
    #expect(try run.publish() == (nil, 1))
    #expect(run.lengths == [1, 1, 0, 0])
    // Both refuse it: `second` has room for the letter of one, and sends the other's on.
    #expect(try run.publish() == ("spare", 1))
    #expect(run.lengths == [1, 1, 1, 1])
    #expect(try run.publish() == ("spare", 1))
    #expect(run.lengths == [1, 1, 1, 3])
    run.rest(turns: 3, ms: 0)
    run.restart(cleanly: false, salvaging: false)
    #expect(run.lengths == [1, 1, 1, 3] && run.complaints == [])
  }
  @Test("are taken again when what was in the queue has expired")
  func roomAgain() throws {
    let run = BoundedQueueRun(seed: 1, crashAt: nil)
    run.run(turns: 1)
    for _ in 1...3 {
      #expect(try run.isTaken())
      #expect(try !run.isTaken())
      run.rest(turns: 4, ms: 500)
    }
    #expect(run.complaints == [])
  }

  @Test("expire when they are given back after their time, though nobody consumes any more")
  func expiredInHand() throws {
    let run = BoundedQueueRun(seed: 1, crashAt: nil)
    run.run(turns: 1)
    #expect(try run.isTaken())
    var consumer: Consumer?
    run.turn { consumer = try run.consume() }
    run.rest(turns: 4, ms: 500)
    #expect(run.readyCount("small") == 0 && run.readyCount("expired") == 0)
    run.turn { run.broker.remove(consumer!) }
    run.rest(turns: 2, ms: 1)
    #expect(run.readyCount("small") == 0 && run.readyCount("expired") == 1 && run.complaints == [])
  }
}
