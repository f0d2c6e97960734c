// What a message that ends in a queue becomes: its end and all of its letters are one record, found again after a kill.
//
// Leaves to others: loss of power at every operation (QueueTests), where letters go in RabbitMQ (RabbitMQFrontEndTests).

import Broker
import Primitives
import Testing

/// Queues `source`, `a`, `b` and `c`; what ends in `source` becomes the letters that the test says.
final class DeadLetterRun: PowerCutRun, DeadLetterRouter {
  /// The letters of whatever ends next: headers and queues.
  var letters: [(headers: String, queues: [String])] = []
  private var got: [String: [String]] = [:]

  override func opened() {
    broker.deadLetterRouter = self
    for group in broker.allQueues { group.queue!.hasDeadLetters = group.topic.name == "source" }
  }

  override func connect() throws {
    for name in ["source", "a", "b", "c"] where broker.findQueue(name) == nil {
      let group = try broker.makeQueue(name)
      group.queue!.hasDeadLetters = name == "source"
    }
  }

  func letters(of record: MessageRecord, endedIn group: Group, because reason: EndReason) -> [Letter] {
    letters.map { letter in
      let targets = letter.queues.map { QueueTarget(broker.findQueue($0)!, timeToLiveMs: nil) }
      return Letter(headers: Array(letter.headers.utf8), tag: [], targets: targets)
    }
  }

  override func received(_ delivery: Delivery) {
    let text = String(decoding: delivery.record.headers, as: UTF8.self)
    got[delivery.consumer.topic.name, default: []].append(text)
  }

  /// Publishes a message that ends at once; gives how many records that took besides the message's own.
  func endOne() -> Sequence {
    var count: Sequence = 0
    turn {
      let body = Array("1".utf8)
      body.withUnsafeBytes { body in
        let parts = MessageParts(id: UnsafeRawBufferPointer(start: nil, count: 0), body: body)
        broker.enqueue(parts, to: [QueueTarget(broker.findQueue("source")!, timeToLiveMs: 0)])
      }
      let before = broker.records.nextSequence
      broker.enforceQueueRules()
      count = broker.records.nextSequence - before
    }
    return count
  }

  /// The headers of what is in each queue, as consumers get it.
  func contents() throws -> [String: [String]] {
    got = [:]
    turn {
      for group in broker.allQueues {
        var options = ConsumerOptions()
        options.credit = 60_000
        _ = try broker.consume(group, sub: 1, connection: 1, options)
      }
    }
    rest(turns: 3, ms: 0)
    return got
  }
}

@Suite("dead letters of queues")
struct DeadLetterTests {
  private func run(_ letters: [(headers: String, queues: [String])]) -> DeadLetterRun {
    let run = DeadLetterRun(seed: 1, crashAt: nil)
    run.run(turns: 1)
    run.letters = letters
    return run
  }

  /// Kills the server behind what it has written; gives what the next one finds.
  private func afterKill(_ run: DeadLetterRun) throws -> [String: [String]] {
    run.rest(turns: 3, ms: 0)
    run.restart(cleanly: false, salvaging: false)
    return try run.contents()
  }

  @Test("the end of a message and all of its letters are one record")
  func oneRecord() throws {
    let run = run([("first", ["a", "b"]), ("second", ["b", "c"])])
    #expect(run.endOne() == 1)
    #expect(try afterKill(run) == ["a": ["first"], "b": ["first", "second"], "c": ["second"]])
    #expect(run.complaints == [])
  }

  @Test("a message that goes nowhere ends")
  func nowhere() throws {
    let run = run([("first", [])])
    #expect(run.endOne() == 0, "its end is recorded with the others of the turn")
    #expect(try afterKill(run) == [:])
  }

  @Test("a letter that is too long for a record is dropped, the others are not")
  func tooLong() throws {
    let run = run([(String(repeating: "x", count: 21 << 20), ["a"]), ("second", ["b"])])
    #expect(run.endOne() == 1)
    #expect(try afterKill(run) == ["b": ["second"]])
  }

  @Test("a queue gets a letter for each time that it is named, in records of a thousand")
  func manyTargets() throws {
    let run = run([("many", Array(repeating: "a", count: 2500))])
    #expect(run.endOne() == 3)
    #expect(run.broker.findQueue("source")!.readyCount == 0)
    #expect(try afterKill(run).mapValues(\.count) == ["a": 2500])
  }
}
