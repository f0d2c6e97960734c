// How far groups that pull have come: what a start finds of it, and how many groups there may be.
//
// Leaves to others: pulls (RemotingPullTests), losses of power (CrashTests).

import Broker
import Engine
import Primitives
import Testing

@Suite("committed offsets")
struct CommittedOffsetsTests {
  private final class Run: PowerCutRun {
    override var settings: EngineSettings {
      var settings = super.settings
      settings.broker.groupsMax = 3
      return settings
    }

    func with<R>(_ text: String, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
      try Array(text.utf8).withUnsafeBytes(body)
    }

    func commit(_ offset: UInt64, queue: UInt8, _ topic: String, _ group: String) throws {
      let topic = try with(topic) { try broker.topicOnUse($0) }
      _ = try with(group) { try broker.commitOffset(offset, ofQueue: queue, in: topic, group: $0) }
    }

    func offset(queue: UInt8, _ topic: String, _ group: String) -> UInt64? {
      guard let topic = with(topic, { broker.findTopic($0) }) else { return nil }
      return with(group) { broker.committedOffset(ofQueue: queue, in: topic, group: $0) }
    }
  }

  @Test("a start knows them for every queue, by the journal and by a checkpoint", arguments: [false, true])
  func starts(isClean: Bool) {
    let run = Run(seed: 1, crashAt: nil)
    run.checkpointBytes = 1 << 20
    run.run(turns: 0)
    run.turn {
      for queue in [0, 1, 7] as [UInt8] { try run.commit(10 + UInt64(queue), queue: queue, "t", "g") }
      try run.commit(5, queue: 3, "t", "h")
      try run.commit(12, queue: 1, "t", "g")
    }
    run.rest(turns: 3, ms: 1)
    run.restart(cleanly: isClean, salvaging: false)
    #expect([0, 1, 2, 7, 8].map { run.offset(queue: $0, "t", "g") } == [10, 12, nil, 17, nil])
    #expect(run.offset(queue: 3, "t", "h") == 5 && run.offset(queue: 0, "t", "h") == nil)
    #expect(run.complaints == [])
  }

  @Test("there are no more groups than allowed, and those of a deleted topic count no more")
  func bound() {
    let run = Run(seed: 1, crashAt: nil)
    run.run(turns: 0)
    run.turn {
      for group in ["a", "b", "c"] { try run.commit(1, queue: 0, "t", group) }
      #expect(throws: BrokerStop.self) { try run.commit(1, queue: 0, "t", "d") }
      try run.commit(2, queue: 4, "t", "c")
      _ = try run.with("t") { try run.broker.deleteTopic($0) }
      for group in ["a", "b", "c"] { try run.commit(1, queue: 0, "new", group) }
    }
    #expect(run.offset(queue: 0, "new", "c") == 1 && run.offset(queue: 0, "t", "a") == nil && run.complaints == [])
  }
}
