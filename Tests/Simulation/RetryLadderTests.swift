// RabbitMQ's retry ladder under loss of power: waiting queue, work queue, retry queue, each the next one's dead letters.
//
//   publish ──► waiting (expiration) ──expired──► work ◄──expired── retry (TTL 400 ms)
//        └──────────────────────────────────────► work ──rejected─► retry
//
// Holds: a message is in one queue at a time, so its x-death tells which way it went: what comes out of `work` has been
// rejected as often as it has expired in `retry`, as often as its clients asked and at least as often as they were told.
// Leaves to others: sockets (EndToEnd), routing by itself (RabbitMQFrontEndTests), queues without a front end (QueueTests).

import Broker
import Foundation
import LineProtocol
import Primitives
import RabbitMQFrontEnd
import SimulatedDisk
import TestSeeds
import Testing

final class LadderRun: PowerCutRun {
  struct Message {
    /// Published into the waiting queue, with an expiration.
    var waits = false
    /// Published into `work` with an expiration: gone for good when nobody takes it in time.
    var isMortal = false
    var isTransient = false
    var isPublished = false
    var rejectionsAsked = 0
    var rejectionsTold = 0
    var isAckAsked = false
    var isAckTold = false
    /// When it may be delivered once everything that was asked has happened.
    var notBeforeMs: UnixMs = 0
  }

  static let retryMs: Int64 = 400
  private var rabbitMQ: RabbitMQ?
  private var messages: [Int: Message] = [:]
  private var next = 1
  private var inHand: [(offset: TopicOffset, number: Int)] = []
  private var work: Group { broker.findQueue("rabbitmq/queue/work")! }

  // MARK: Topology

  override func opened() {
    let front = RabbitMQ(broker)
    front.restore { _ = machine!.io.drain() }
    rabbitMQ = front
  }

  override func connect() throws {
    let front = rabbitMQ!
    for name in ["orders", "dead"] {
      _ = try front.declare(
        RabbitMQ.ExchangeDeclaration(
          name: Text(name), kind: .direct, isDurable: true, isAutoDelete: false, isInternal: false, arguments: []))
    }
    try declare("waiting", to: "orders", "orders", "work")
    try declare("work", to: "orders", "dead", "retry")
    try declare("retry", to: "dead", "orders", "work", [.init("x-message-ttl", .integer(Self.retryMs))])
    try consume(prefetch: 3)
  }

  /// A queue bound to `exchange` by its name, with its dead-letter exchange and routing key.
  private func declare(
    _ name: Text, to exchange: Text, _ deadExchange: Text, _ deadKey: Text, _ more: [JSONTree.Member] = []
  ) throws {
    let arguments: [JSONTree.Member] = [
      .init("x-dead-letter-exchange", .string(deadExchange)),
      .init("x-dead-letter-routing-key", .string(deadKey)),
    ]
    _ = try rabbitMQ!.declare(
      RabbitMQ.QueueDeclaration(
        name: name, isDurable: true, isExclusive: false, isAutoDelete: false, arguments: arguments + more), 1)
    _ = try rabbitMQ!.bind(name, exchange, name, [], 1)
  }

  private func consume(prefetch: Int) throws {
    let queue = try rabbitMQ!.queue("work", 1)
    _ = try rabbitMQ!.consume(queue, sub: 1, connection: 1, prefetch: prefetch, noAck: false)
  }

  override func lostPower() {
    inHand = []
    messages = messages.filter { !$0.value.isTransient }
  }

  // MARK: Clients

  override func step() throws {
    switch Int.random(in: 0..<10, using: &random) {
    case 0..<4: try publish()
    default: try settle()
    }
  }

  private func publish() throws {
    let number = next
    next += 1
    var message = Message()
    let ttlMs = Int64.random(in: 0...3000, using: &random)
    message.isTransient = Int.random(in: 0..<6, using: &random) == 0
    switch Int.random(in: 0..<3, using: &random) {
    case 0:
      message.waits = true
      message.notBeforeMs = time.nowMs + ttlMs
    case 1: message.isMortal = true
    default: break
    }
    let expires = message.waits || message.isMortal
    let line = Array("{\"properties\":{\(expires ? "\"expiration\":\"\(ttlMs)\"" : "")}}".utf8)
    let body = Array("\(number)".utf8)
    let reader = RequestReader()
    try line.withUnsafeBytes { line in
      try body.withUnsafeBytes { body in
        var publication = Publication(
          exchange: "orders", routingKey: message.waits ? "waiting" : "work", body: body, encoding: .text)
        try reader.parse(line)
        publication.properties = .json(try #require(try reader.object(.properties)))
        publication.expiration = expires ? Text("\(ttlMs)") : nil
        publication.isPersistent = !message.isTransient
        _ = try rabbitMQ!.publish(publication)
      }
    }
    messages[number] = message
    tell { self.messages[number]?.isPublished = true }
  }

  private func settle() throws {
    guard !inHand.isEmpty else { return }
    let (offset, number) = inHand.remove(at: Int.random(in: 0..<inHand.count, using: &random))
    switch Int.random(in: 0..<4, using: &random) {
    case 0:
      messages[number]?.isAckAsked = true
      _ = try broker.acknowledge(work, .one(offset))
      tell { self.messages[number]?.isAckTold = true }
    case 1: _ = try broker.requeue(work, [offset], .refused)
    default:
      messages[number]?.rejectionsAsked += 1
      messages[number]?.notBeforeMs = time.nowMs + Self.retryMs
      _ = try broker.reject(work, [offset])
      tell { self.messages[number]?.rejectionsTold += 1 }
    }
  }

  // MARK: Deliveries

  override func received(_ delivery: Delivery) {
    let text = String(decoding: delivery.record.body, as: UTF8.self)
    let number = Int(text)!
    inHand.append((delivery.record.sequence, number))
    guard let message = messages[number] else { return complaints.append("\(number) is not known") }
    if message.isAckTold { complaints.append("\(number) comes again after its acknowledgement") }
    var shown = ByteBuffer()
    shown.append("{")
    rabbitMQ!.writeFields(of: delivery.record, to: &shown)
    shown.append("}")
    let headers = Array(shown.readable)
    for complaint in Self.judge(headers, message, nowMs: time.nowMs) {
      complaints.append("\(number): \(complaint): \(message) \(String(decoding: headers, as: UTF8.self))")
    }
  }

  /// What is wrong with the headers of a message that comes out of `work`.
  private static func judge(_ bytes: [UInt8], _ message: Message, nowMs: UnixMs) -> [String] {
    let root = (try? JSONSerialization.jsonObject(with: Data(bytes))) as? [String: Any] ?? [:]
    let headers = (root["properties"] as? [String: Any])?["headers"] as? [String: Any] ?? [:]
    let deaths = (headers["x-death"] as? [[String: Any]] ?? []).map {
      (way: "\($0["queue"] ?? "") \($0["reason"] ?? "")", count: $0["count"] as? Int ?? 0)
    }
    let counts = Dictionary(deaths.map { ($0.way, $0.count) }, uniquingKeysWith: +)
    let rejections = counts["work rejected"] ?? 0
    var wrong: [String] = []
    if rejections != counts["retry expired"] ?? 0 { wrong.append("rejected and retried differ") }
    if rejections < message.rejectionsTold { wrong.append("a rejection is lost") }
    if rejections > message.rejectionsAsked { wrong.append("a rejection is counted twice") }
    if (counts["waiting expired"] ?? 0) != (message.waits ? 1 : 0) { wrong.append("it has not waited once") }
    if counts["work expired"] != nil { wrong.append("it went in a circle that nobody asked for") }
    var ways = rejections > 0 ? ["retry expired", "work rejected"] : []
    if message.waits { ways.append("waiting expired") }
    if deaths.map(\.way) != ways { wrong.append("deaths are not newest first") }
    let first = message.waits ? "waiting" : rejections > 0 ? "work" : nil
    if headers["x-first-death-queue"] as? String != first { wrong.append("the first death is another one") }
    let last = rejections > 0 ? "retry" : message.waits ? "waiting" : nil
    if headers["x-last-death-queue"] as? String != last { wrong.append("the last death is another one") }
    if rejections == message.rejectionsAsked, nowMs < message.notBeforeMs { wrong.append("it is early") }
    return wrong
  }

  // MARK: Reckoning

  override func reckon() {
    rest(turns: 40, ms: 300)
    guard complaints.isEmpty, machine != nil else { return }
    turn { try self.consume(prefetch: 60_000) }
    rest(turns: 60, ms: 20)
    let found = Dictionary(inHand.map { ($0.number, 1) }, uniquingKeysWith: +)
    for (number, message) in messages.sorted(by: { $0.key < $1.key }) {
      let count = found[number] ?? 0
      var isRight = count <= 1
      if message.isAckTold { isRight = isRight && count == 0 }
      let mayExpire = message.isMortal && message.rejectionsTold == 0
      if message.isPublished, !message.isAckAsked, !mayExpire { isRight = isRight && count == 1 }
      if !isRight { complaints.append("message \(number): \(message), \(count) times there") }
    }
    for name in ["waiting", "retry"] where broker.findQueue("rabbitmq/queue/\(name)")!.readyCount > 0 {
      complaints.append("messages stay in \(name)")
    }
  }
}

@Suite("retry ladder")
struct RetryLadderTests {
  @Test("without faults x-death counts what happened", arguments: Seeds.some(12))
  func calm(seed: UInt64) { LadderRun.expectCalm(seed, turns: 150, "RetryLadderTests/calm") }

  @Test("a loss of power at any operation loses, doubles and miscounts nothing", arguments: Seeds.some(1))
  func everywhere(seed: UInt64) { LadderRun.expectCutsEverywhere(seed, turns: 25, "RetryLadderTests/everywhere") }

  @Test("a loss of power at some operations of a long run", arguments: Seeds.some(8))
  func sampled(seed: UInt64) { LadderRun.expectSomeCuts(seed, turns: 120, "RetryLadderTests/sampled") }
}
