// How late messages come that wait: in an exchange that delays, in a queue whose messages end after a time, and in a ladder of such
// queues, each the dead-letter target of the one before.
//
// Holds: every message is sent right after a millisecond has begun, so that its time is over in the same millisecond for the client and
// for a broker that counts in milliseconds; what comes before that is early, and early is a fault of ours.

import Platform
import Primitives

enum AMQPLateness {
  /// A way to make a message wait.
  private struct Way {
    let name: String
    let delayMs: Int
    let rate: String
    let peerRate: String?
    /// Declares what it needs; what waits comes out of `queue`.
    let prepare: @Sendable (AMQPWire) -> Void
    let message: AMQPMessage
    let queue: String
  }

  /// Queues of the ladder, as many as Celery and NServiceBus declare, and how long a message waits in each.
  private static let rungs = 28
  private static let rungMs = 50

  private static let ways = [
    Way(
      name: "x-delayed-message", delayMs: 1000, rate: "rate", peerRate: nil,
      prepare: { wire in
        wire.declareDelayedExchange("later")
        wire.declareQueue("delayed")
        wire.bind("delayed", to: "later", key: "k")
      }, message: AMQPMessage(exchange: "later", key: "k", delayMs: 1000), queue: "delayed"),
    Way(
      name: "time to live and dead letters", delayMs: 1000, rate: "rate", peerRate: "peer-rate",
      prepare: { wire in
        wire.declareQueue("expired")
        wire.declareQueue("expiring", AMQPWire.deadLetters(to: "expired"))
      }, message: AMQPMessage(key: "expiring", expirationMs: 1000), queue: "expired"),
    Way(
      name: "a ladder of \(rungs) queues", delayMs: rungs * rungMs, rate: "ladder-rate", peerRate: "ladder-rate",
      prepare: { wire in
        wire.declareQueue("rung-0")
        for rung in 1...rungs {
          wire.declareQueue(
            "rung-\(rung)", AMQPWire.deadLetters(to: "rung-\(rung - 1)") + AMQPWire.timeToLive(ms: Int32(rungMs)))
        }
      }, message: AMQPMessage(key: "rung-\(rungs)"), queue: "rung-0"),
  ]

  static func measure(_ brokers: [any AMQPBroker], _ flags: Flags, _ report: inout Report) {
    for way in ways {
      for broker in brokers {
        guard let rate = broker.isOurs ? way.rate : way.peerRate else { continue }
        let perSecond = max(1, flags.number(rate))
        let name = "\(broker.name), \(way.name), \(Figures.spaced(perSecond)) a second"
        measure(way, broker, name, count: perSecond * max(1, flags.number("seconds")), perSecond, &report)
      }
    }
  }

  private static func measure(
    _ way: Way, _ broker: any AMQPBroker, _ name: String, count: Int, _ rate: Int, _ report: inout Report
  ) {
    let sender = AMQPWire(port: broker.port)
    way.prepare(sender)
    let dues = Dues(count)
    let listening = Listening(AMQPWire(port: broker.port), way.queue, dues)
    Progress.begin(name, of: count)
    let cpuBefore = broker.cpuNs
    guard let thread = try? Thread(name: "receiver", { listening.run(delayMs: way.delayMs) }) else { fail("no thread") }
    send(way, sender, dues, rate)
    thread.join()
    report.add("late: \(name)", listening.lateness)
    report.add(
      "\(name): processor time of the broker a message", Double(broker.cpuNs - cpuBefore) / Double(count), "ns")
    Progress.end()
    var faults: [String] = []
    if listening.lateness.early > 0 { faults.append("\(name): \(listening.lateness.early) came early") }
    if listening.lateness.count != count || listening.isWrong {
      faults.append("\(name): \(listening.lateness.count) came, not \(count), or not the ones that were sent")
    }
    // What others do wrong is their figure; what ours does wrong is a fault of the run.
    if broker.isOurs { report.faults += faults } else { report.notes += faults }
  }

  /// Sends at a pace, right after a millisecond has begun; what was held up is sent at once.
  private static func send(_ way: Way, _ wire: AMQPWire, _ dues: Dues, _ rate: Int) {
    var out = ByteBuffer(capacity: 64 << 10)
    let filler = [UInt8](repeating: UInt8(ascii: "x"), count: PeerBody.bytes - 8)
    let startNs = SystemClock.wallNs()
    var sent = 0
    while sent < dues.count {
      SystemClock.pause(ns: 1_000_000 - SystemClock.wallNs() % 1_000_000)
      let nowNs = SystemClock.wallNs()
      let wanted = min(dues.count, Int((nowNs - startNs) / 1_000_000) * rate / 1000)
      let dueMs = (nowNs + 999_999) / 1_000_000 + Int64(way.delayMs)
      while sent < wanted {
        dues.set(sent, dueMs)
        out.append(way.message.head)
        out.appendPadded(Int64(sent), digits: 8)
        out.append(filler)
        out.append(byte: AMQPWire.frameEnd)
        sent += 1
      }
      wire.connection.send(&out)
    }
  }

  /// When each message is due. A message's time is set before the message is sent, and read after it has come.
  private final class Dues: @unchecked Sendable {
    private let times: UnsafeMutableBufferPointer<Int64>
    var count: Int { times.count }

    init(_ count: Int) {
      times = .allocate(capacity: count)
      times.initialize(repeating: .max)
    }

    deinit { times.deallocate() }

    func set(_ number: Int, _ dueMs: Int64) { times[number] = dueMs }

    /// The time of a message that has come; nil when no such message is on its way.
    func take(_ number: Int) -> Int64? {
      guard times.indices.contains(number), times[number] != .max else { return nil }
      defer { times[number] = .max }
      return times[number]
    }
  }

  /// What the receiving thread sees.
  private final class Listening: @unchecked Sendable {
    private let wire: AMQPWire
    private let dues: Dues
    private(set) var lateness = LatencyHistogram()
    /// Whether something came that was not awaited, or came twice.
    private(set) var isWrong = false

    init(_ wire: AMQPWire, _ queue: String, _ dues: Dues) {
      self.wire = wire
      self.dues = dues
      wire.consume(queue, isAcknowledged: false)
    }

    func run(delayMs: Int) {
      while lateness.count < dues.count {
        guard
          wire.connection.hasUnread || wire.connection.waits(ms: Int32(delayMs + 10_000)) && wire.connection.receive()
        else { return }
        let nowNs = SystemClock.wallNs()
        let news = wire.takeDeliveries { body in
          guard let dueMs = dues.take(body.prefix(8).reduce(0) { $0 * 10 + Int($1 & 15) }) else {
            return isWrong = true
          }
          lateness.record(nowNs - dueMs * 1_000_000)
        }
        Progress.advance(news)
      }
    }
  }
}
