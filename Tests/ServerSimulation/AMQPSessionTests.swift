// AMQP sessions over the whole server in memory, where one right or wrong step decides: rights, heartbeats, rejections.
//
// Leaves to others: anything that clients may say (AMQPFuzzTests), losses of power (ServerSimulationTests).

import AMQPProtocol
import Access
import Journal
import Primitives
import SimulatedDisk
import Testing

@testable import Server

@Suite("AMQP sessions")
struct AMQPSessionTests {
  /// A server with one client, whose network and disk work.
  private final class Run {
    let time = SimulatedTime(ms: 1_900_000_000_000)
    let network: SimulatedNetwork
    private let machine: SimulatedServer
    private(set) var peer: AMQPPeer!
    /// What the client has heard since the last look.
    private var heard: [HeardMethod] = []

    init(access: String? = nil, _ opening: [UInt8]) throws {
      let alarm = Alarm()
      network = SimulatedNetwork(time: time, alarm: alarm, seed: 1)
      network.isSmooth = true
      var settings = ServerSettings()
      settings.listeners = [ListenAddress(host: "127.0.0.1", port: 5672, wire: .amqp)]
      settings.engine.reserveBytes = 0
      settings.engine.minFreeBytes = 0
      settings.journal.segmentBytes = SegmentWriter.segmentBytesMin
      settings.access = try access.map { text throws(AccessError) in try AccessFile(Array(text.utf8)) }
      machine = try SimulatedServer(
        disk: SimulatedStorage(), settings: settings, network: network, time: time, alarm: alarm, seed: 1)
      peer = AMQPPeer(network, listener: 0) { [unowned self] in heard.append($0) }
      peer.send(opening)
      peer.send { out in out.append(.channelOpen, channel: 1) }
    }

    /// Lets the server do what there is to do; gives what the client has heard.
    func settle() throws -> [HeardMethod] {
      for _ in 0..<6 { try turn(passMs: 0) }
      defer { heard = [] }
      return heard
    }

    /// Lets so much time pass.
    func pass(ms: Int64) throws {
      let endMs = time.nowMs + ms
      while time.nowMs < endMs { try turn(passMs: endMs - time.nowMs) }
    }

    private func turn(passMs: Int64) throws {
      network.deliver()
      network.allowanceNs = passMs * TimeUnits.nsPerMs
      try machine.server.turn()
      while machine.run(thread: 0) || machine.run(thread: 1) || machine.run(thread: 2) {}
      peer.read(.max)
    }

    func declare(_ name: String, _ arguments: [FieldEntry] = []) {
      var table = ByteBuffer()
      table.append(fields: arguments)
      name.withBytes { name in
        peer.send { out in
          let declare = QueueDeclare {
            $0.queue = name
            $0.arguments = FieldTable(table.readable)
          }
          out.append(declare, channel: 1)
        }
      }
    }

    func consume(_ name: String) {
      name.withBytes { name in peer.send { out in out.append(BasicConsume { $0.queue = name }, channel: 1) } }
    }

    func publish(to name: String) {
      var properties = ByteBuffer()
      properties.append(BasicProperties())
      name.withBytes { name in
        peer.send { out in
          out.append(
            BasicPublish { $0.routingKey = name }, channel: 1, properties: properties.readable, body: name,
            maxFrameBytes: 4096)
        }
      }
    }
  }

  @Test("a message that is rejected for good is a dead letter, and one that is wanted again comes again")
  func rejections() throws {
    let run = try Run(AMQPPeer.opening())
    run.declare("dead")
    run.declare(
      "work", [FieldEntry("x-dead-letter-exchange", .text("")), FieldEntry("x-dead-letter-routing-key", .text("dead"))])
    run.consume("work")
    run.publish(to: "work")
    #expect(try run.settle().last?.method == .basicDeliver)
    func reject(_ tag: UInt64, requeue: Bool) throws -> [Method] {
      let reject = BasicReject {
        $0.deliveryTag = tag
        $0.requeue = requeue
      }
      run.peer.send { out in out.append(reject, channel: 1) }
      return try run.settle().map(\.method)
    }
    #expect(try reject(1, requeue: true) == [.basicDeliver])
    #expect(try reject(2, requeue: false) == [])
    "dead".withBytes { dead in run.peer.send { out in out.append(BasicGet { $0.queue = dead }, channel: 1) } }
    #expect(try run.settle().map(\.method) == [.basicGetOk])
  }

  @Test("a client that has agreed to heartbeats and sends none is given up after two of them, and not before")
  func silence() throws {
    let run = try Run(AMQPPeer.opening(heartbeatSeconds: 10))
    #expect(try run.settle().last?.method == .channelOpenOk)
    try run.pass(ms: 18_000)
    #expect(!run.peer.socket.isClosedByServer)
    try run.pass(ms: 10_000)
    #expect(run.peer.socket.isClosedByServer)
  }

  @Test("without the right to consume from a queue a consumer is refused", arguments: ["mine", "yours"])
  func rights(queue: String) throws {
    let secret = "open sesame"
    let access = "guest sha256:\(SecretHash(of: secret).hexadecimal) admin:* consume:queue:mine"
    let run = try Run(access: access, AMQPPeer.opening(password: secret))
    run.declare(queue)
    run.consume(queue)
    let heard = try run.settle()
    #expect(heard.last?.method == (queue == "mine" ? .basicConsumeOk : .channelClose))
    guard queue == "yours" else { return }
    #expect(heard.last?.decoded(ChannelClose.self) { $0.replyCode } == ReplyCode.accessRefused.rawValue)
  }
}
