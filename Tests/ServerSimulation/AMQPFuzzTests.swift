// Spoiled sessions against the whole server in memory: it lives, lets every connection go, and another connection's messages go
// through meanwhile, each once and in order.
//
// `ESCAPEMENT_AMQP_SESSIONS` says how many sessions each seed makes; 10 000 of them are more than a hundred thousand frames a seed.

import AMQPProtocol
import Foundation
import Primitives
import SeededRandom
import SimulatedDisk
import Testing

@testable import Server

@Suite("spoiled AMQP sessions")
struct AMQPFuzzTests {
  static let sessions = ProcessInfo.processInfo.environment["ESCAPEMENT_AMQP_SESSIONS"].flatMap(Int.init) ?? 500

  @Test("the server lives, and other connections are unharmed", arguments: ServerSimulationTests.seeds(4))
  func sessions(seed: UInt64) throws {
    let house = try FuzzedHouse(seed: seed)
    let bystander = Bystander(house)
    var frames = 0
    for number in 0..<Self.sessions {
      frames += try house.suffer()
      if number % 20 == 0 { try bystander.check() }
    }
    try bystander.check()
    #expect(house.hasLetGo, "connections of sessions that have ended")
    #expect(house.server.broker.failure == nil)
    house.server.broker.checkInvariants()
    #expect(frames > Self.sessions * 5)
  }
}

/// A server in memory whose network and disk work, and one client after the other that does not.
private final class FuzzedHouse {
  private let time = SimulatedTime(ms: 1_700_000_000_000)
  let network: SimulatedNetwork
  private let machine: SimulatedServer
  private var bytes: AMQPSessionBytes
  var server: Server { machine.server }

  init(seed: UInt64) throws {
    let alarm = Alarm()
    network = SimulatedNetwork(time: time, alarm: alarm, seed: seed)
    network.isSmooth = true
    var settings = ServerSettings()
    settings.listeners.append(ListenAddress(host: "127.0.0.1", port: 5672, wire: .amqp))
    settings.engine.broker.retentionMsDefault = 60_000
    settings.engine.checkpointBytes = 1 << 18
    // Files of their usual size take longer than the sessions.
    settings.engine.reserveBytes = 64 << 10
    settings.engine.minFreeBytes = 16 << 10
    settings.engine.broker.segmentBytes = 64 << 10
    settings.journal.segmentBytes = 128 << 10
    machine = try SimulatedServer(
      disk: SimulatedStorage(seed: seed), settings: settings, network: network, time: time, alarm: alarm, seed: seed)
    bytes = AMQPSessionBytes(seed: seed)
  }

  /// Lets the server do what there is to do.
  func turn() throws {
    network.isSmooth = true
    network.deliver()
    try server.turn()
    while machine.run(thread: 0) || machine.run(thread: 1) || machine.run(thread: 2) {}
    try server.turn()
  }

  /// One session, sent in pieces; gives how many frames were sent.
  func suffer() throws -> Int {
    let frames = bytes.session()
    var rest = frames.flatMap { $0 }[...]
    let peer = AMQPPeer(network, listener: 1) { _ in }
    while !rest.isEmpty, !peer.socket.isClosedByServer {
      let count = min(rest.count, 1 + bytes.below(2 * rest.count))
      peer.send(Array(rest.prefix(count)))
      rest.removeFirst(count)
      try turn()
      peer.read(.max)
    }
    time.nowNs += Int64(bytes.below(30)) * TimeUnits.nsPerMs
    if !peer.socket.isClosedByServer { network.reset(peer.socket) }
    for _ in 0..<20 where !peer.socket.isClosedByServer { try turn() }
    #expect(peer.socket.isClosedByServer)
    return frames.count
  }

  /// Whether nothing is left of the connections that have gone.
  var hasLetGo: Bool { server.services.counters.connections == 1 }
}

/// A connection that does nothing wrong.
private final class Bystander {
  private let house: FuzzedHouse
  private var peer: AMQPPeer!
  private var queue = ""
  private var confirms = 0
  private var bodies: [String] = []
  private var sent = 0

  init(_ house: FuzzedHouse) {
    self.house = house
    peer = AMQPPeer(house.network, listener: 1) { [unowned self] in hear($0) }
    peer.send(AMQPPeer.opening())
    peer.send { out in
      out.append(.channelOpen, channel: 7)
      out.append(ConfirmSelect { $0.noWait = true }, channel: 7)
      out.append(QueueDeclare { $0.exclusive = true }, channel: 7)
      out.append(BasicConsume { $0.noAck = true }, channel: 7)
    }
  }

  private func hear(_ heard: HeardMethod) {
    switch heard.method {
    case .queueDeclareOk: queue = heard.decoded(QueueDeclareOk.self) { String(decoding: $0.queue, as: UTF8.self) } ?? ""
    case .basicAck: confirms = heard.decoded(BasicAck.self) { Int($0.deliveryTag) } ?? 0
    case .basicDeliver: bodies.append(String(decoding: heard.body, as: UTF8.self))
    case .channelClose, .connectionClose, .basicReturn, .basicNack, .basicCancel:
      Issue.record("the bystander heard \(heard.method.name)")
    default: return
    }
  }

  /// Sends a message to itself and waits for it.
  func check() throws {
    for _ in 0..<20 where queue.isEmpty { try house.turn() }
    sent += 1
    var properties = ByteBuffer()
    properties.append(BasicProperties())
    queue.withBytes { queue in
      "\(sent)".withBytes { body in
        peer.send { out in
          out.append(
            BasicPublish { $0.routingKey = queue }, channel: 7, properties: properties.readable, body: body,
            maxFrameBytes: 4096)
        }
      }
    }
    for _ in 0..<20 where confirms < sent || bodies.count < sent {
      try house.turn()
      peer.read(.max)
    }
    #expect(confirms == sent && bodies.last == "\(sent)" && bodies.count == sent, "the bystander's message \(sent)")
  }
}
