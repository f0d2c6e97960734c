// Single requests of RocketMQ's protocol over the whole server in memory: batches, transactions, and who may ask.
//
// Leaves to others: pulls (RemotingPullTests), anything that clients may say (RemotingFuzzTests).

import Access
import Journal
import Primitives
import RemotingProtocol
import SimulatedDisk
import Testing

@testable import Server

@Suite("requests of RocketMQ")
struct RemotingSessionTests {
  /// A server with one client.
  private final class Run {
    private let network: SimulatedNetwork
    private let machine: SimulatedServer
    private let socket: SimulatedSocket
    private var heard: [UInt8] = []
    private let headers = RemotingHeaderReader()

    init(access: String? = nil) throws {
      let time = SimulatedTime(ms: 1_900_000_000_000)
      let alarm = Alarm()
      var settings = ServerSettings()
      settings.listeners = [ListenAddress(host: "127.0.0.1", port: 9876, wire: .remoting)]
      settings.engine.reserveBytes = 0
      settings.engine.minFreeBytes = 0
      settings.journal.segmentBytes = SegmentWriter.segmentBytesMin
      settings.access = try access.map { text throws(AccessError) in try AccessFile(Array(text.utf8)) }
      network = SimulatedNetwork(time: time, alarm: alarm, seed: 1)
      network.isSmooth = true
      machine = try SimulatedServer(
        disk: SimulatedStorage(), settings: settings, network: network, time: time, alarm: alarm, seed: 1)
      socket = network.connect()
      socket.onWrite = { [unowned self] in
        heard += $0
        socket.unread = 0
      }
    }

    /// Asks; gives the code of the answer and the fields that `names` says.
    func ask(
      _ code: RequestCode, _ fields: KeyValuePairs<StaticString, String>, body: [UInt8] = [],
      giving name: StaticString = ""
    ) throws -> (code: Int32, field: String?) {
      var out = ByteBuffer()
      var frame = RemotingFrameWriter(request: code, opaque: 1, isOneWay: false, serialization: .json, &out)
      for (name, value) in fields { frame.field(name, value, &out) }
      frame.endHeader(&out)
      body.withBytes { out.append($0) }
      frame.end(&out)
      socket.onTheWay += Array(out.readable)
      heard = []
      for _ in 0..<6 {
        network.deliver()
        try machine.server.turn()
        while machine.run(thread: 0) || machine.run(thread: 1) || machine.run(thread: 2) {}
      }
      var frames = RemotingFrameReader()
      heard.withBytes { frames.append($0) }
      let header = try headers.read(try #require(try frames.next()))
      return (header.code, header.fields.string(name).map { String(decoding: $0, as: UTF8.self) })
    }

    func send(
      _ code: RequestCode = .sendMessage, body: [UInt8], properties: String = "", giving name: StaticString = ""
    ) throws -> (code: Int32, field: String?) {
      let isShort = code != .sendMessage
      let fields: KeyValuePairs<StaticString, String> =
        isShort
        ? ["a": "p", "b": "t", "e": "0", "f": "0", "g": "1", "h": "0", "i": properties]
        : [
          "producerGroup": "p", "topic": "t", "queueId": "0", "sysFlag": "0", "bornTimestamp": "1", "flag": "0",
          "properties": properties,
        ]
      return try ask(code, fields, body: body, giving: name)
    }

    /// How many messages the queue 0 of the topic has.
    func count() throws -> String? {
      try ask(.getMaxOffset, ["topic": "t", "queueId": "0"], giving: "offset").field
    }
  }

  /// A message of a batch.
  private func batched(_ properties: String) -> [UInt8] {
    var out = ByteBuffer()
    out.append(bigEndian: Int32(22 + 1 + properties.utf8.count))
    for _ in 0..<3 { out.append(bigEndian: Int32(0)) }
    out.append(bigEndian: Int32(1))
    out.append(byte: UInt8(ascii: "x"))
    out.append(bigEndian: Int16(properties.utf8.count))
    out.append(text: properties)
    return Array(out.readable)
  }

  @Test("a batch is taken whole, or refused whole")
  func batches() throws {
    let run = try Run()
    #expect(try run.send(body: [1]).code == 0)
    #expect(try run.send(.sendBatchMessage, body: batched("") + batched("")).code == 0)
    #expect(try run.count() == "3")
    let illegal = ResponseCode.messageIllegal.rawValue
    #expect(try run.send(.sendBatchMessage, body: batched("") + batched("DELAY\u{1}never\u{2}")).code == illegal)
    #expect(try run.send(.sendBatchMessage, body: []).code == illegal)
    #expect(try run.count() == "3")
  }

  @Test(
    "a half message is there when its transaction is committed, and never when it is rolled back",
    arguments: [("8", "2"), ("12", "1"), ("0", "1")])
  func transactions(decision: String, expected: String) throws {
    let run = try Run()
    #expect(try run.send(body: [1]).code == 0)
    let half = try run.send(body: [2], properties: "TRAN_MSG\u{1}true\u{2}PGROUP\u{1}p\u{2}", giving: "queueOffset")
    let number = try #require(half.field)
    #expect(try run.count() == "1")
    let answer = try run.ask(
      .endTransaction, ["producerGroup": "p", "tranStateTableOffset": number, "commitOrRollback": decision])
    #expect(answer.code == 0)
    #expect(try run.count() == expected)
  }

  @Test("a server that asks who its clients are serves nobody by this protocol")
  func access() throws {
    let run = try Run(access: "shop sha256:\(SecretHash(of: "open sesame").hexadecimal) all:*")
    #expect(try run.send(body: [1]).code == ResponseCode.noPermission.rawValue)
  }
}
