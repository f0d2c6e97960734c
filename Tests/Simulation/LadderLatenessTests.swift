// A ladder of waiting queues, each the next one's dead letters, on a server that is late at every hop.
//
// Holds: the last queue gets a message within one turn of the sum of the times to live, whatever the turns are, and never early.
// Leaves to others: losses of power (RetryLadderTests).

import Broker
import Engine
import Primitives
import RabbitMQFrontEnd
import TestSeeds
import Testing

final class LadderLatenessRun: PowerCutRun {
  static let hops = 28
  static let hopMs: Int64 = 100
  /// Between two turns.
  static let turnMs: Int64 = 70
  private var rabbitMQ: RabbitMQ?
  private var publishedNs: Int64?
  private(set) var latenessMs: Int64?

  override func opened() {
    let front = RabbitMQ(broker)
    front.restore { _ = machine!.io.drain() }
    rabbitMQ = front
  }

  override func connect() throws {
    let front = rabbitMQ!
    for hop in 0...Self.hops {
      var arguments: [JSONTree.Member] = []
      if hop < Self.hops {
        arguments = [
          .init("x-message-ttl", .integer(Self.hopMs)), .init("x-dead-letter-exchange", .string("")),
          .init("x-dead-letter-routing-key", .string(Text("hop-\(hop + 1)"))),
        ]
      }
      let queue = RabbitMQ.QueueDeclaration(
        name: Text("hop-\(hop)"), isDurable: true, isExclusive: false, isAutoDelete: false, arguments: arguments)
      _ = try front.declare(queue, 1)
    }
    let last = try front.queue(Text("hop-\(Self.hops)"), 1)
    _ = try front.consume(last, sub: 1, connection: 1, prefetch: 0, noAck: true)
    guard publishedNs == nil else { return }
    publishedNs = time.nowNs
    let body = Array("m".utf8)
    try body.withUnsafeBytes { body in
      var publication = Publication(exchange: "", routingKey: "hop-0", body: body, encoding: .text)
      publication.isPersistent = true
      _ = try front.publish(publication)
    }
  }

  override func received(_ delivery: Delivery) {
    if latenessMs != nil { complaints.append("it came twice") }
    let lateNs = time.nowNs - publishedNs! - Int64(Self.hops) * Self.hopMs * TimeUnits.nsPerMs
    if lateNs < 0 { complaints.append("it came \(-lateNs) ns early") }
    latenessMs = lateNs / TimeUnits.nsPerMs
  }

  override func reckon() {
    rest(turns: 60, ms: Self.turnMs)
    guard let latenessMs else { return complaints.append("it never came") }
    // One turn, one for the disk, and the rest of the first millisecond.
    if latenessMs > Self.turnMs * 2 { complaints.append("it came \(latenessMs) ms late") }
  }
}

@Suite("lateness in a ladder")
struct LadderLatenessTests {
  @Test("does not add up over 28 hops that are each handled late", arguments: Seeds.some(4))
  func once(seed: UInt64) {
    let run = LadderLatenessRun.judged(seed, turns: 0)
    #expect(run.complaints == [], Seeds.replay(seed, "LadderLatenessTests/once"))
  }
}
