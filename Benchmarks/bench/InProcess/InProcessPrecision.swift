// `bench precision --in-process`: the same messages, asked of the engine directly. One thread makes the turns, as the server's loop
// does; a message counts as come when its gate is settled, so that a consumer might see it.

import Broker
import Journal
import Platform
import Primitives

enum InProcessPrecision {
  /// A message that was delivered, and waits for its gate.
  private struct Shown {
    var gate: Sequence
    var id: Int
    var dueMs: Int
    var offset: TopicOffset
  }

  static func run(_ plan: PrecisionPlan, _ flags: Flags, _ report: inout Report) {
    do {
      let engine = try InProcessEngine(
        in: flags.text("folder"), policy: policy(flags.text("fsync")), stallMs: flags.number("stall"))
      defer { engine.stop() }
      let consumer = try subscribe(engine)
      let text = Array(repeating: UInt8(ascii: "x"), count: flags.number("body-bytes"))
      Progress.begin("loading", of: max(plan.count, plan.pending))
      let farMs = SystemClock.wallNs() / 1_000_000 + 3_600_000
      load(engine, plan.others, text) { (plan.count + $0, farMs + Int64($0)) }
      let startMs = plan.begin()
      load(engine, plan.count, text) { ($0, plan.dueMs($0)) }
      if SystemClock.wallNs() / 1_000_000 > startMs { fail("loading took too long; take fewer messages") }
      let cpuBefore = ProcessorTime.ofProcessNs()
      receive(engine, consumer, plan, feed: flags.number("feed"), text)
      plan.fill(&report, cpuNs: ProcessorTime.ofProcessNs() - cpuBefore)
    } catch { fail("the engine does not open: \(error)") }
  }

  private static func policy(_ text: String) -> SyncPolicy {
    if text.hasPrefix("interval") { return .interval(ms: text.split(separator: ":").last.flatMap { Int($0) } ?? 1000) }
    return text == "never" ? .never : .always
  }

  private static func subscribe(_ engine: InProcessEngine) throws -> Consumer {
    var consumer: Consumer?
    let topic = Array("precision".utf8)
    let group = Array("bench".utf8)
    engine.turn {
      var options = ConsumerOptions()
      options.credit = 65_536
      consumer = topic.withUnsafeBytes { topic in
        group.withUnsafeBytes { group in
          try? engine.broker.subscribe(topic: topic, group: group, sub: 1, connection: 1, options).value
        }
      }
      return true
    }
    guard let consumer else { fail("the engine takes no consumer") }
    return consumer
  }

  private static func load(
    _ engine: InProcessEngine, _ count: Int, _ body: [UInt8], _ message: (Int) -> (id: Int, dueMs: Int64)
  ) {
    var done = 0
    while done < count {
      let end = min(count, done + 1000)
      let last = engine.turn {
        for number in done..<end {
          let (id, dueMs) = message(number)
          schedule(engine, "precision", id, dueMs, body)
        }
        return end == count || end % 50_000 == 0
      }
      // Not more than the log can take at a time.
      if end == count || end % 50_000 == 0 { engine.waitUntilSettled(last) }
      Progress.advance(end - done)
      done = end
    }
  }

  private static func schedule(
    _ engine: InProcessEngine, _ topic: StaticString, _ id: Int, _ dueMs: Int64, _ body: [UInt8]
  ) {
    let topic = UnsafeRawBufferPointer(start: topic.utf8Start, count: topic.utf8CodeUnitCount)
    var id = String(id)
    id.withUTF8 { id in
      body.withUnsafeBytes { body in
        var parts = MessageParts(id: UnsafeRawBufferPointer(id), body: body)
        parts.encoding = .bytes
        do throws(BrokerStop) {
          _ = try engine.broker.schedule(ScheduleCommand(topic: topic, parts: parts, due: .at(dueMs), connection: 1))
        } catch { fail("the engine does not take a message: \(error)") }
      }
    }
  }

  private static func receive(
    _ engine: InProcessEngine, _ consumer: Consumer, _ plan: PrecisionPlan, feed: Int, _ body: [UInt8]
  ) {
    Progress.begin("receiving", of: plan.count)
    var shown = Fifo<Shown>()
    var fed = 0
    var seenUpTo: TopicOffset?
    var lastNs = SystemClock.wallNs()
    let endNs = plan.dueMs(plan.count) * 1_000_000 + 10_000_000_000
    while plan.received < plan.count, lastNs < endNs {
      let last = engine.turn {
        if let offset = seenUpTo, let group = consumer.group {
          _ = try? engine.broker.acknowledge(group, .upTo(offset))
        }
        seenUpTo = nil
        guard feed > 0 else { return false }
        let due = min(plan.count, Int(max(0, lastNs / 1_000_000 - plan.startMs)) * plan.rate / 1000)
        while fed < due {
          let id = 2 * (plan.count + plan.pending) + fed
          schedule(engine, feed == 2 ? "other" : "precision", id, plan.startMs + 7_200_000 + Int64(fed), body)
          fed += 1
        }
        return false
      }
      for case .deliver(let delivery) in engine.broker.effects {
        let id = Int(String(decoding: delivery.record.id, as: UTF8.self)) ?? -1
        shown.append(
          Shown(
            gate: delivery.gate(last: last).sequence, id: id, dueMs: Int(delivery.record.dueMs),
            offset: delivery.record.sequence))
      }
      let settled = engine.engine.log.settledSequence
      lastNs = SystemClock.wallNs()
      let before = plan.received
      while let next = shown.ahead(0), next.gate <= settled {
        plan.note(next.id, dueMs: next.dueMs, atNs: lastNs)
        seenUpTo = next.offset
        _ = shown.removeFirst()
      }
      Progress.advance(plan.received - before)
      if seenUpTo == nil { engine.wait(atMost: 1_000_000) }
    }
  }
}
