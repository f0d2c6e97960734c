// RocketMQ's protocol under clients that say anything: requests with any fields and bodies, frames with bytes changed, left out and
// added, in pieces of any size. The server lives, contradicts itself nowhere, and serves the one who behaves.

import Engine
import Primitives
import RemotingProtocol
import SeededRandom
import SimulatedDisk
import Testing

@testable import Server

@Suite("the remoting protocol under anything")
struct RemotingFuzzTests {
  @Test("no client stops the server or is in another's way", arguments: ServerSimulationTests.seeds(40))
  func anything(seed: UInt64) throws {
    var run = try RemotingFuzz(seed: seed)
    run.run()
    #expect(
      run.isServed,
      "run again with: ESCAPEMENT_SEED=\(seed) swift test --filter ServerSimulation.RemotingFuzzTests/anything")
    run.end()
  }
}

private struct RemotingFuzz {
  private var random: SplitMix64
  private let time = SimulatedTime(ms: 1_900_000_000_000)
  private let alarm = Alarm()
  private let disk = SimulatedStorage()
  private let network: SimulatedNetwork
  private var server: SimulatedServer
  private let settings: ServerSettings
  /// Whether the client that behaves has got its answer.
  private(set) var isServed = false

  init(seed: UInt64) throws {
    random = SplitMix64(seed: seed)
    var settings = ServerSettings()
    settings.listeners = [ListenAddress(host: "127.0.0.1", port: 9876, wire: .remoting)]
    settings.engine.reserveBytes = 0
    settings.engine.minFreeBytes = 0
    settings.engine.checkpointBytes = 20_000
    settings.engine.broker.segmentBytes = 4096
    settings.engine.broker.cacheBytes = 16_384
    settings.journal.segmentBytes = 1 << 17
    self.settings = settings
    network = SimulatedNetwork(time: time, alarm: alarm, seed: seed)
    server = try SimulatedServer(
      disk: disk, settings: settings, network: network, time: time, alarm: alarm, seed: seed)
  }

  mutating func run() {
    var clients = (0..<4).map { _ in connect() }
    for _ in 0..<300 {
      let place = Int.random(in: 0..<clients.count, using: &random)
      switch Int.random(in: 0..<20, using: &random) {
      case 0: network.reset(clients[place])
      case 1: network.finish(clients[place])
      case 2: time.nowNs += Int64.random(in: 0...3000, using: &random) * TimeUnits.nsPerMs
      default: clients[place].onTheWay += frames()
      }
      if clients[place].isReset || clients[place].clientFinishes || clients[place].isClosedByServer {
        clients[place] = connect()
      }
      turns(Int.random(in: 1...4, using: &random))
      if random.next() % 50 == 0 { server.server.broker.checkInvariants() }
    }
    behave()
  }

  private mutating func behave() {
    let socket = connect()
    var got: [UInt8] = []
    socket.onWrite = { got += $0 }
    var request = ByteBuffer()
    var frame = RemotingFrameWriter(
      request: .getRouteInfoByTopic, opaque: 77, isOneWay: false, serialization: .json, &request)
    frame.field("topic", "orders", &request)
    frame.endHeader(&request)
    frame.end(&request)
    socket.onTheWay += Array(request.readable)
    for _ in 0..<200 {
      turns(1)
      if String(decoding: got, as: UTF8.self).contains("\"opaque\":77") { isServed = true }
      if isServed { return }
    }
  }

  /// The state is sound, and what is on disk is the same state.
  mutating func end() {
    server.server.broker.checkInvariants()
    #expect(!server.hasFailed)
    #expect(server.server.shutDown() == 0)
  }

  private func connect() -> SimulatedSocket {
    let socket = network.connect()
    socket.onWrite = { _ in socket.unread = 0 }
    return socket
  }

  private mutating func turns(_ count: Int) {
    for _ in 0..<count {
      network.deliver()
      network.allowanceNs = 20 * TimeUnits.nsPerMs
      do { try server.server.turn() } catch { Issue.record("the loop stopped: \(error)") }
      for thread in 0..<3 where random.next() & 1 == 0 { server.run(thread: thread) }
      if random.next() % 8 == 0 { while server.run(thread: 0) || server.run(thread: 1) || server.run(thread: 2) {} }
    }
  }

  // MARK: What clients say

  private mutating func frames() -> [UInt8] {
    var bytes: [UInt8] = []
    for _ in 0..<Int.random(in: 1...4, using: &random) { bytes += frame() }
    if random.next() % 3 == 0 { spoil(&bytes) }
    return bytes
  }

  private mutating func spoil(_ bytes: inout [UInt8]) {
    for _ in 0..<Int.random(in: 1...3, using: &random) where !bytes.isEmpty {
      let place = Int.random(in: 0..<bytes.count, using: &random)
      switch random.next() % 4 {
      case 0: bytes[place] ^= 1 << UInt8(random.next() % 8)
      case 1: bytes.removeSubrange(place..<min(bytes.count, place + Int(random.next() % 8)))
      case 2: bytes.insert(contentsOf: [0, 255, 1, 2], at: place)
      default: bytes.removeSubrange(place...)
      }
    }
  }

  private static let fields: [StaticString] = [
    "topic", "consumerGroup", "group", "producerGroup", "queueId", "queueOffset", "maxMsgNums", "sysFlag",
    "commitOffset",
    "suspendTimeoutMillis", "subscription", "offset", "delayLevel", "maxReconsumeTimes", "timestamp", "properties",
    "bornTimestamp", "flag", "reconsumeTimes", "batch", "commitLogOffset", "commitOrRollback", "recallHandle",
    "clientID",
    "writeQueueNums", "a", "b", "e", "f", "g", "h", "i", "j", "m", "expressionType",
  ]

  private mutating func text(_ name: StaticString) -> String {
    let numbers = [
      "0", "1", "2", "3", "-1", "7", "255", "256", "9223372036854775807", "4398046511104", "1000", "x", "",
    ]
    let texts: [String] =
      switch "\(name)" {
      case "topic", "b":
        ["orders", "orders", "t", "%RETRY%g", "%DLQ%g", "TBW102", "%", "", "a/b", String(repeating: "n", count: 128)]
      case "consumerGroup", "group", "producerGroup", "a", "clientID":
        ["g", "g", "h", "", "%", String(repeating: "n", count: 121)]
      case "subscription": ["*", "A", "A || B", "|", "A |", ""]
      case "properties", "i":
        [
          "TAGS\u{1}A\u{2}KEYS\u{1}k\u{2}", "DELAY\u{1}1\u{2}", "TIMER_DELAY_MS\u{1}5\u{2}",
          "TRAN_MSG\u{1}true\u{2}PGROUP\u{1}g\u{2}",
          "TRAN_MSG\u{1}true\u{2}", "DELAY\u{1}no\u{2}", "", "x\u{1}y\u{2}x\u{1}z\u{2}", "é\u{1}\"\\\u{2}",
        ]
      case "sysFlag", "f": ["0", "2", "3", "4", "6", "7", "1"]
      case "suspendTimeoutMillis": ["0", "50", "5000", "9223372036854775807"]
      case "batch", "m": ["true", "false", "0", "2"]
      case "expressionType": ["TAG", "SQL92"]
      default: numbers
      }
    return texts.randomElement(using: &random) ?? ""
  }

  private mutating func frame() -> [UInt8] {
    // Those that keep something, more often.
    let often: [RequestCode] = [
      .sendMessage, .sendMessageV2, .pullMessage, .pullMessage, .heartbeat, .consumerSendMessageBack,
    ]
    let all = RequestCode.allCases + often + often
    guard let code = all.randomElement(using: &random) else { return [] }
    var out = ByteBuffer()
    var frame = RemotingFrameWriter(
      request: code, opaque: Int32(truncatingIfNeeded: random.next()), isOneWay: random.next() % 8 == 0,
      serialization: random.next() & 1 == 0 ? .json : .binary, &out)
    for name in Self.fields where random.next() % 16 != 0 { frame.field(name, text(name), &out) }
    frame.endHeader(&out)
    body().withBytes { out.append($0) }
    frame.end(&out)
    return Array(out.readable)
  }

  private mutating func body() -> [UInt8] {
    let client = ["c1", "c2"].randomElement(using: &random) ?? "c1"
    let texts = [
      "", "x", String(repeating: "y", count: Int.random(in: 0...5000, using: &random)),
      """
      {"clientID":"\(client)","producerDataSet":[{"groupName":"g"}],"consumerDataSet":[{"groupName":"g","messageModel":1,\
      "consumeType":1,"subscriptionDataSet":[{"topic":"orders","subString":"A","subVersion":"3"}]}]}
      """,
      """
      {"consumerGroup":"g","clientId":"\(client)","mqSet":[{"topic":"orders","brokerName":"b","queueId":1},\
      {"topic":"t","brokerName":"b","queueId":-1}]}
      """,
      "{", "[]", "{\"clientID\":1}",
    ]
    return Array((texts.randomElement(using: &random) ?? "").utf8)
  }
}
