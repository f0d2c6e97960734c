// Messages that end in a queue without dead letters: nothing of them is left, in memory or behind a kill.
//
// Leaves to others: dead letters (DeadLetterTests), losses of power (QueueTests).

import Broker
import Primitives
import Testing

@Suite("ends in queues")
struct QueueEndTests {
  private final class Run: PowerCutRun {
    private(set) var offsets: [TopicOffset] = []
    var queue: Group { broker.findQueue("q")! }

    override func connect() throws { if broker.findQueue("q") == nil { _ = try broker.makeQueue("q") } }

    override func received(_ delivery: Delivery) { offsets.append(delivery.record.sequence) }

    func enqueue(timeToLiveMs: Int64?) {
      Array("1".utf8).withUnsafeBytes { body in
        let parts = MessageParts(id: UnsafeRawBufferPointer(rebasing: body[..<0]), body: body)
        broker.enqueue(parts, to: [QueueTarget(queue, timeToLiveMs: timeToLiveMs)])
      }
      broker.enforceQueueRules()
    }

    static func started() -> Run {
      let run = Run(seed: 1, crashAt: nil)
      run.checkpointBytes = 1 << 20
      run.run(turns: 0)
      return run
    }
  }

  @Test("a purged message does not come back after a kill")
  func purge() throws {
    let run = Run.started()
    run.turn { for _ in 0..<3 { run.enqueue(timeToLiveMs: nil) } }
    run.rest(turns: 3, ms: 1)
    var count = 0
    run.turn { count = try run.broker.purge(run.queue).value }
    #expect(count == 3)
    run.rest(turns: 3, ms: 1)
    run.restart(cleanly: false, salvaging: false)
    #expect(run.queue.readyCount == 0 && run.complaints == [])
  }

  @Test("an acknowledged message takes no more memory until its time to live is over", arguments: [900, 3_600_000])
  func expiryTimer(timeToLiveMs: Int64) throws {
    let run = Run.started()
    run.turn {
      for _ in 0..<3 { run.enqueue(timeToLiveMs: timeToLiveMs) }
      _ = try run.broker.consume(run.queue, sub: 1, connection: 1, ConsumerOptions())
    }
    run.rest(turns: 3, ms: 1)
    #expect(run.offsets == [0, 1, 2] && run.broker.gauges.expiring == 3)
    run.turn { _ = try run.broker.acknowledge(run.queue, .list([0, 2])) }
    #expect(run.broker.gauges.expiring == 1 && run.complaints == [])
  }
}
