// Near messages that find no room in memory, against a dumb model: a list of what is pending, sorted when it is asked.

import DataFiles
import DelayStore
import Primitives
import SeededRandom
import SimulatedDisk
import Testing

@testable import Broker

@Suite("spilled messages")
struct SpillTests {
  /// A broker with little memory, what must be pending in it, and what it has released.
  final class Run {
    static let startMs: UnixMs = 1_000_000
    let io = ManualIOQueue(storage: SimulatedStorage())
    let broker: Broker
    var random: SplitMix64
    var nowMs = startMs
    var pending: [String: (topic: String, dueMs: UnixMs, sequence: Sequence)] = [:]
    /// By topic, in order.
    var expected: [String: [String]] = [:]
    var released: [String: [String]] = [:]
    var spilledMost = 0

    init(seed: UInt64, nearBytes: Int) throws {
      random = SplitMix64(seed: seed)
      var settings = BrokerSettings()
      settings.nearBytesMax = nearBytes
      settings.sliceMs = 500
      settings.releasesPerTurn = 16
      settings.idWindowMs = 0
      broker = Broker(settings: settings, hashKey: StoreID(low: 1, high: 2), io: io)
      broker.records.reset(nextSequence: 1)
      broker.start(nowNs: nowMs * TimeUnits.nsPerMs)
      try turn {
        for topic in ["a", "b"] {
          var options = ConsumerOptions()
          options.credit = 100_000
          try with(topic) { _ = try broker.subscribe(topic: $0, group: $0, sub: 1, connection: 1, options) }
        }
      }
    }

    func with<R>(_ text: String, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R {
      try Array(text.utf8).withUnsafeBytes(body)
    }

    func turn(_ body: () throws -> Void = {}) throws {
      broker.beginTurn(nowNs: nowMs * TimeUnits.nsPerMs)
      for task in io.takeFinished() { task.finished() }
      try body()
      broker.endTurn()
      for effect in broker.effects {
        guard case .deliver(let delivery) = effect else { continue }
        let id = String(decoding: delivery.record.id, as: UTF8.self)
        #expect(pending[id]?.dueMs ?? .max <= nowMs, "\(id) came early, or was not pending")
        pending[id] = nil
        released[delivery.consumer.topic.name, default: []].append(id)
      }
      spilledMost = max(spilledMost, broker.onDiskCount)
      broker.checkInvariants()
    }

    /// Lets the disk work, and repeats what waits for it.
    func insist<R>(_ body: () throws(BrokerStop) -> R) throws -> R {
      while true {
        do throws(BrokerStop) { return try body() } catch {
          guard case .waitForDisk = error else { throw error }
          io.runAll()
          for task in io.takeFinished() { task.finished() }
        }
      }
    }

    func schedule(_ topic: String, _ id: String, atMs: UnixMs) throws {
      try with(topic) { topicName in
        try with(id) { idText in
          var command = ScheduleCommand(
            topic: topicName, parts: MessageParts(id: idText, body: idText), due: .at(atMs), connection: 1)
          command.ifExists = .replace
          _ = try insist { () throws(BrokerStop) in try broker.schedule(command) }
        }
      }
      pending[id] = (topic, atMs, broker.records.lastSequence)
    }

    func change() throws {
      let id = "m\(Int.random(in: 0..<400, using: &random))"
      let atMs = nowMs + [1, 40, 40, 41, Int64.random(in: 1...900, using: &random)].randomElement(using: &random)!
      guard let known = pending[id] else {
        return try schedule(Bool.random(using: &random) ? "a" : "b", id, atMs: atMs)
      }
      // What is due may have left, and be on its way to the consumer.
      if known.dueMs <= nowMs { return }
      switch Int.random(in: 0..<4, using: &random) {
      case 0:
        _ = try with(known.topic) { topic in try with(id) { try broker.cancel(topic: topic, id: $0) } }
        pending[id] = nil
      case 1:
        _ = try with(known.topic) { topic in
          try with(id) { id in
            _ = try insist { () throws(BrokerStop) in
              try broker.reschedule(topic: topic, id: id, due: .at(atMs), connection: 1)
            }
          }
        }
        pending[id] = (known.topic, atMs, broker.records.lastSequence)
      case 2:
        let dueMs: UnixMs? = try with(known.topic) { topic in
          try with(id) { id in
            let state = try insist { () throws(BrokerStop) in try broker.get(topic: topic, id: id, connection: 1) }
            guard case .pending(let record) = state.value else { return nil }
            return record.dueMs
          }
        }
        #expect(dueMs == known.dueMs)
      default: try schedule(known.topic, id, atMs: atMs)
      }
      broker.forgetColdReads(1)
    }

    /// The pending messages of a topic, page by page.
    func list(_ topic: String) throws -> [String] {
      var ids: [String] = []
      var after: (dueMs: UnixMs, sequence: Sequence)?
      while true {
        let page = try with(topic) { name in
          try insist { () throws(BrokerStop) in
            try broker.list(ListCommand(topic: name, dueMs: 0 ... .max, limit: 7, after: after, connection: 1)).value
          }
        }
        broker.forgetColdReads(1)
        ids += page.messages.map { message in
          message.bytes.withUnsafeBytes { String(decoding: MessageRecord($0.baseAddress!).id, as: UTF8.self) }
        }
        guard page.hasMore, let last = page.messages.last else { return ids }
        after = (last.dueMs, last.sequence)
      }
    }

    func inOrder(_ topic: String) -> [String] {
      pending.filter { $0.value.topic == topic }.sorted {
        ($0.value.dueMs, $0.value.sequence) < ($1.value.dueMs, $1.value.sequence)
      }.map(\.key)
    }
  }

  @Test(
    "leave in order and on time, and are found, changed and listed meanwhile", arguments: 1...12 as ClosedRange<UInt64>)
  func model(seed: UInt64) throws {
    let run = try Run(seed: seed, nearBytes: [0, 1500, 4000][Int(seed % 3)])
    for _ in 0..<150 {
      try run.turn { for _ in 0..<Int.random(in: 0...12, using: &run.random) { try run.change() } }
      if Int.random(in: 0..<10, using: &run.random) == 0 {
        try run.turn {
          for topic in ["a", "b"] {
            let listed = try run.list(topic)
            // What is due may have left already.
            let ahead = run.inOrder(topic).filter { run.pending[$0]?.dueMs ?? 0 > run.nowMs }
            #expect(Array(listed.suffix(ahead.count)) == ahead)
          }
        }
      }
      for _ in 0..<Int.random(in: 0...8, using: &run.random) { run.io.runOne(lane: Int(run.random.next() & 1)) }
      run.nowMs += Int64.random(in: 0...30, using: &run.random)
    }
    #expect(run.spilledMost > 20, "many found no room")
    for topic in ["a", "b"] { run.expected[topic] = run.inOrder(topic) }
    run.released = [:]
    for _ in 0..<3000 where !run.pending.isEmpty {
      try run.turn()
      run.io.runAll()
      run.nowMs += 1
    }
    #expect(run.released == run.expected)
    #expect(run.broker.onDiskCount == 0)
  }

  @Test("a burst in one topic that has no room holds back no message of another one")
  func fairness() throws {
    let run = try Run(seed: 1, nearBytes: 4000)
    let atMs = run.nowMs + 100
    try run.turn {
      for number in 0..<500 { try run.schedule("a", "a\(number)", atMs: atMs) }
      for number in 0..<5 { try run.schedule("b", "b\(number)", atMs: atMs + Int64(number)) }
    }
    #expect(run.broker.onDiskCount > 400)
    // Shortly before, what has room is brought back: of each topic.
    for _ in 0..<10 {
      run.io.runAll()
      try run.turn()
    }
    run.nowMs = atMs
    for number in 0..<5 {
      for _ in 0..<3 {
        run.io.runAll()
        try run.turn()
      }
      #expect(run.released["b"]?.last == "b\(number)", "in the turns of its millisecond")
      run.nowMs += 1
    }
    #expect(run.released["a"]?.count ?? 0 < 500, "while the burst goes on")
    for _ in 0..<2000 where !run.pending.isEmpty {
      run.io.runAll()
      try run.turn()
      run.nowMs += 1
    }
    #expect(run.released["a"] == (0..<500).map { "a\($0)" })
  }

  @Test("are queued in order, whatever order they come in", arguments: 1...5 as ClosedRange<UInt64>)
  func queue(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let io = ManualIOQueue(storage: SimulatedStorage())
    let store = DelayStore(sliceMs: 1000, hasher: SipHash128(key0: 1, key1: 2), io: io)
    store.startEmpty(nowMs: 0)
    let queue = SpillQueue()
    var waiting: [Watermark] = []
    for round in 0..<12_000 {
      let dueMs = seed & 1 == 0 ? 5 : Int64.random(in: 0..<2000, using: &random)
      let message = spill(store, dueMs: dueMs, sequence: Sequence(round))
      queue.append(message)
      waiting.append(message.place)
    }
    waiting.sort()
    while let first = waiting.first {
      #expect(queue.bound == first)
      let part = queue.takePart(bytesMax: 64 * 700, sliceMs: 1000, through: Watermark(dueMs: 5000, sequence: 0))
      #expect(part.map(\.place) == Array(waiting.prefix(part.count)))
      #expect(part.count <= 700 && Set(part.map { $0.dueMs / 1000 }).count == 1)
      #expect(queue.bound == first, "as long as it is on its way")
      queue.noteBroughtBack()
      waiting.removeFirst(part.count)
    }
    #expect(queue.isEmpty)
  }

  private func spill(_ store: DelayStore, dueMs: UnixMs, sequence: Sequence) -> SpilledMessage {
    withUnsafeBytes(of: sequence) { id in
      let parts = MessageParts(id: id, body: UnsafeRawBufferPointer(start: nil, count: 0))
      return withUnsafeTemporaryAllocation(byteCount: parts.recordLength, alignment: 8) { memory in
        MessageRecord.write(parts, sequence: sequence, dueMs: dueMs, stampMs: 0, topic: 1, at: memory.baseAddress!)
        return store.spill(
          MessageRecord(memory.baseAddress!), dueMs: dueMs, hash: IDHash(low: sequence, high: 1))
      }
    }
  }
}
