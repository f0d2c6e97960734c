// Bursts: very many messages of one topic that are due in one millisecond hold back no other topic, and power that fails in the
// middle of one changes nothing.

import Broker
import Engine
import Primitives
import TestSeeds
import Testing

@Suite("bursts")
struct BurstTests {
  /// A burst in one topic, and single messages of another one.
  private final class Run: PowerCutRun {
    static let burstCount = 1000
    /// Offsets by topic and message, as they were seen.
    var seen: [String: TopicOffset] = [:]
    /// What the topic "other" got in the latest turn.
    var others: [String] = []

    /// How much of it has room in memory.
    var nearBytes = 1 << 30

    override var settings: EngineSettings {
      var settings = super.settings
      settings.broker.nearBytesMax = nearBytes
      settings.broker.releasesPerTurn = 64
      settings.broker.segmentBytes = 1 << 20
      return settings
    }

    private func with<R>(_ text: String, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
      try Array(text.utf8).withUnsafeBytes(body)
    }

    func schedule(_ topic: String, _ id: String, atMs: UnixMs) throws {
      try with(topic) { topic in
        try with(id) { id in
          let parts = MessageParts(id: id, body: UnsafeRawBufferPointer(start: nil, count: 0))
          _ = try broker.schedule(ScheduleCommand(topic: topic, parts: parts, due: .at(atMs), connection: 1))
        }
      }
    }

    override func connect() throws {
      for topic in ["burst", "other"] {
        try with(topic) {
          var options = ConsumerOptions()
          options.credit = 10_000
          _ = try broker.subscribe(topic: $0, group: $0, sub: 1, connection: 1, options)
        }
      }
    }

    override func received(_ delivery: Delivery) {
      let topic = delivery.consumer.topic.name
      let id = String(decoding: delivery.record.id, as: UTF8.self)
      let offset = delivery.record.sequence
      if topic == "other" { others.append(id) }
      tell(behind: delivery.gate(last: turnSequence).sequence) { [self] in
        let before = seen.updateValue(offset, forKey: "\(topic)/\(id)") ?? offset
        if before != offset { complaints.append("\(topic)/\(id) was at \(before) and is at \(offset)") }
      }
    }

    /// Schedules the burst for `atMs`, and for each ms from then on one message of the other topic.
    func prepare(atMs: UnixMs, others: Int) throws {
      for number in 0..<Self.burstCount { try schedule("burst", "b\(number)", atMs: atMs) }
      for number in 0..<others { try schedule("other", "o\(number)", atMs: atMs + Int64(number)) }
    }
  }

  @Test("what is due in other topics is released in its turn")
  func fairness() throws {
    let run = Run(seed: 1, crashAt: nil)
    run.run(turns: 0)
    run.rest(turns: 2, ms: 1)
    let atMs = run.time.nowMs + 100
    run.turn { try run.prepare(atMs: atMs, others: 5) }
    run.time.nowNs = atMs * TimeUnits.nsPerMs
    for number in 0..<5 {
      run.others = []
      run.turn()
      #expect(run.others == ["o\(number)"], "in the turn of its millisecond")
      #expect(run.broker.gauges.dueNow > 0, "while the burst goes on")
      run.time.nowNs += TimeUnits.nsPerMs
    }
    #expect(run.complaints == [])
  }

  @Test("a loss of power within a burst changes no offset that was seen", arguments: Seeds.some(30))
  func crashes(seed: UInt64) throws {
    let run = Run(seed: seed, crashAt: nil)
    // Every other burst finds room for a tenth of itself.
    if seed & 1 == 0 { run.nearBytes = 30_000 }
    // Checkpoints fall into the burst.
    run.checkpointBytes = 300
    run.run(turns: 0)
    run.rest(turns: 2, ms: 1)
    let atMs = run.time.nowMs + 100
    run.turn { try run.prepare(atMs: atMs, others: 20) }
    run.rest(turns: 3, ms: 1)
    run.time.nowNs = atMs * TimeUnits.nsPerMs
    for turn in 0..<30 {
      if turn % 7 == Int(seed % 7) { run.cutPower() }
      run.turn()
      run.time.nowNs += TimeUnits.nsPerMs
    }
    run.rest(turns: 60, ms: 1)
    #expect(run.complaints == [], Seeds.replay(seed, "BurstTests/crashes"))
    #expect(run.seen.count == Run.burstCount + 20)
    for number in 0..<Run.burstCount { #expect(run.seen["burst/b\(number)"] == TopicOffset(number)) }
  }
}
