// Dead letters of a group and their way back: when a message dies, what it looks like when it comes again, and what a kill
// leaves of a redrive.
//
// Leaves to others: dead letters of queues (DeadLetterTests), losses of power in between (CrashTests).

import Broker
import Primitives
import Testing

@Suite("dead letters of groups")
struct RedriveTests {
  /// A topic with one group, which gives every message up at its second delivery.
  private final class Run: PowerCutRun {
    /// What the group was given.
    private(set) var got: [(offset: TopicOffset, headers: String)] = []

    override func connect() throws {
      var options = ConsumerOptions()
      options.maxAttempts = 2
      _ = try with("t") { try broker.subscribe(topic: $0, group: $0, sub: 1, connection: 1, options) }
    }

    override func received(_ delivery: Delivery) {
      got.append((delivery.record.sequence, String(decoding: delivery.record.headers, as: UTF8.self)))
    }

    func with<R>(_ text: String, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
      try Array(text.utf8).withUnsafeBytes(body)
    }

    func publish(headers: String) throws {
      _ = try with("t") { topic in
        try with(headers) { headers in
          var parts = MessageParts(id: UnsafeRawBufferPointer(rebasing: topic[..<0]), body: topic)
          parts.headers = headers
          return try broker.publish(topic: topic, parts)
        }
      }
    }

    /// Refuses what was given last; when it may be tried again, that is at once.
    func refuse() throws {
      try with("t") { name in
        let group = try #require(broker.findTopic(name).flatMap { broker.findGroup($0, name) })
        let isLast = got.count % 2 == 0
        _ = try broker.refuse(group, .one(got[got.count - 1].offset), delayMs: isLast ? nil : 0)
      }
    }

    /// Puts the dead letters back; gives how many there were.
    func redrive() -> Int {
      var count = 0
      turn {
        count = try with("t") { try broker.redrive(topic: $0, group: $0, limit: 10, connection: 1).value.redriven }
      }
      return count
    }

    var deadLetters: UInt64 { with("t.t.dlq") { broker.findTopic($0)?.log.nextOffset } ?? 0 }
  }

  /// A run whose one message has died.
  private func afterDeath(headers: String) -> Run {
    let run = Run(seed: 1, crashAt: nil)
    run.checkpointBytes = 1 << 20
    run.run(turns: 0)
    run.turn { try run.publish(headers: headers) }
    run.rest(turns: 3, ms: 1)
    die(run)
    return run
  }

  private func die(_ run: Run) {
    run.turn { try run.refuse() }
    run.rest(turns: 3, ms: 1)
    run.turn { try run.refuse() }
  }

  @Test("a message that is refused as often as it may be is a dead letter in that turn")
  func atOnce() {
    let run = afterDeath(headers: "")
    #expect(run.got.map(\.offset) == [0, 0] && run.deadLetters == 1 && run.complaints == [])
  }

  @Test("a redriven message is what it was before its death, and can die again", arguments: ["", #"{"a":"1"}"#])
  func headers(_ headers: String) throws {
    let run = afterDeath(headers: headers)
    #expect(run.redrive() == 1)
    run.rest(turns: 3, ms: 1)
    try #require(run.got.map(\.offset) == [0, 0, 1])
    #expect(run.got[2].headers == headers)
    die(run)
    #expect(run.deadLetters == 2 && run.complaints == [])
  }

  @Test("what was redriven is not redriven again after a kill")
  func kill() {
    let run = afterDeath(headers: "")
    #expect(run.redrive() == 1)
    run.rest(turns: 3, ms: 1)
    run.restart(cleanly: false, salvaging: false)
    run.rest(turns: 3, ms: 1)
    #expect(run.redrive() == 0)
    #expect(run.complaints == [])
  }
}
