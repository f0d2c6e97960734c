// What several commands of one turn leave behind, found again after the process was killed.
//
// Leaves to others: commands of many turns, and losses of power between them (CrashTests, FaultTests).

import Broker
import Primitives
import Testing

@Suite("commands of one turn")
struct OrderWithinATurnTests {
  /// One group of one topic, whose consumer is there again after every start.
  private final class Run: PowerCutRun {
    private(set) var offsets: [TopicOffset] = []

    override func connect() throws {
      _ = try with("t") { try broker.subscribe(topic: $0, group: $0, sub: 1, connection: 1, ConsumerOptions()) }
    }

    override func received(_ delivery: Delivery) { offsets.append(delivery.record.sequence) }

    func with<R>(_ text: String, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
      try Array(text.utf8).withUnsafeBytes(body)
    }

    func publish() throws {
      _ = try with("t") { topic in
        try with("1") {
          try broker.publish(topic: topic, MessageParts(id: UnsafeRawBufferPointer(rebasing: $0[..<0]), body: $0))
        }
      }
    }

    /// Acknowledges the first message and goes back before it.
    func acknowledgeAndSeek() throws {
      try with("t") { name in
        let group = try #require(broker.findTopic(name).flatMap { broker.findGroup($0, name) })
        _ = try broker.acknowledge(group, .one(0))
        _ = try broker.seek(topic: name, group: name, to: .earliest, connection: 1)
      }
    }
  }

  @Test("an acknowledgement before a seek does not outlive it")
  func seekAfterAcknowledgement() {
    let run = Run(seed: 1, crashAt: nil)
    run.run(turns: 0)
    run.turn { for _ in 0..<3 { try run.publish() } }
    run.rest(turns: 3, ms: 1)
    #expect(run.offsets == [0, 1, 2])
    run.turn { try run.acknowledgeAndSeek() }
    run.rest(turns: 3, ms: 1)
    #expect(run.offsets == [0, 1, 2, 0, 1, 2])
    run.restart(cleanly: false, salvaging: false)
    run.rest(turns: 3, ms: 1)
    #expect(run.offsets.suffix(3) == [0, 1, 2] && run.complaints == [])
  }
}
