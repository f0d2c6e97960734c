// Pulls of RocketMQ's clients that wait, over the whole server: nothing is answered before it is durable, nothing is forgotten, and
// nothing happens while nothing is to be done.

import Engine
import Journal
import Primitives
import RemotingProtocol
import SeededRandom
import SimulatedDisk
import Testing

@testable import Server

@Suite("pulls that wait")
struct RemotingPullTests {
  /// A server with one connection that pulls and one that sends.
  private final class Run {
    let time = SimulatedTime(ms: 1_900_000_000_000)
    let alarm = Alarm()
    let network: SimulatedNetwork
    let server: SimulatedServer
    let puller: SimulatedSocket
    let sender: SimulatedSocket
    private(set) var pulled: [UInt8] = []
    private(set) var sent: [UInt8] = []

    init() throws {
      var settings = ServerSettings()
      settings.listeners = [ListenAddress(host: "127.0.0.1", port: 9876, wire: .remoting)]
      settings.engine.reserveBytes = 0
      settings.engine.minFreeBytes = 0
      settings.journal.segmentBytes = SegmentWriter.segmentBytesMin
      network = SimulatedNetwork(time: time, alarm: alarm, seed: 1)
      network.isSmooth = true
      server = try SimulatedServer(
        disk: SimulatedStorage(), settings: settings, network: network, time: time, alarm: alarm, seed: 1)
      puller = network.connect()
      sender = network.connect()
      puller.onWrite = { [unowned self] in
        pulled += $0
        puller.unread = 0
      }
      sender.onWrite = { [unowned self] in
        sent += $0
        sender.unread = 0
      }
    }

    func turns(_ count: Int = 4, passMs: Int64 = 0, isDiskWorking: Bool = true) {
      for _ in 0..<count {
        network.deliver()
        network.allowanceNs = passMs * TimeUnits.nsPerMs
        do { try server.server.turn() } catch { Issue.record("\(error)") }
        if isDiskWorking { while server.run(thread: 0) || server.run(thread: 1) || server.run(thread: 2) {} }
      }
    }

    func pull(_ opaque: Int32, queue: Int64, waitMs: Int64) {
      ask(.pullMessage, opaque, puller) { frame, out in
        frame.field("consumerGroup", "g", &out)
        frame.field("topic", "t", &out)
        frame.field("queueId", queue, &out)
        frame.field("queueOffset", 0, &out)
        frame.field("maxMsgNums", 32, &out)
        frame.field("sysFlag", 6, &out)
        frame.field("commitOffset", 0, &out)
        frame.field("suspendTimeoutMillis", waitMs, &out)
        frame.field("subscription", "*", &out)
      }
    }

    func send(_ opaque: Int32, queue: Int64) {
      ask(.sendMessage, opaque, sender) { frame, out in
        frame.field("producerGroup", "p", &out)
        frame.field("topic", "t", &out)
        frame.field("queueId", queue, &out)
        frame.field("sysFlag", 0, &out)
        frame.field("bornTimestamp", 1, &out)
        frame.field("flag", 0, &out)
      }
    }

    private func ask(
      _ code: RequestCode, _ opaque: Int32, _ socket: SimulatedSocket,
      _ fields: (inout RemotingFrameWriter, inout ByteBuffer) -> Void
    ) {
      var out = ByteBuffer()
      var frame = RemotingFrameWriter(request: code, opaque: opaque, isOneWay: false, serialization: .json, &out)
      fields(&frame, &out)
      frame.endHeader(&out)
      frame.end(&out)
      socket.onTheWay += Array(out.readable)
    }

    /// The codes of the answers to pulls so far, by the numbers of the requests.
    func answers() throws -> [Int32: Int32] {
      var frames = RemotingFrameReader()
      let headers = RemotingHeaderReader()
      pulled.withBytes { frames.append($0) }
      var codes: [Int32: Int32] = [:]
      while let frame = try frames.next() {
        let header = try headers.read(frame)
        codes[header.opaque] = header.code
      }
      return codes
    }
  }

  @Test("a message answers the pulls of its queue, once it is durable, and no others")
  func woken() throws {
    let run = try Run()
    run.pull(1, queue: 0, waitMs: 60_000)
    run.pull(2, queue: 1, waitMs: 60_000)
    run.turns()
    #expect(try run.answers().isEmpty)
    run.send(9, queue: 1)
    run.turns(isDiskWorking: false)
    #expect(try run.answers().isEmpty && run.sent.isEmpty, "nothing is shown before it is durable")
    run.turns()
    #expect(try run.answers() == [2: 0])
    run.send(10, queue: 0)
    run.turns()
    #expect(try run.answers() == [1: 0, 2: 0])
  }

  @Test("a wait ends with code 19, and the server sleeps until then")
  func timesOut() throws {
    let run = try Run()
    run.pull(1, queue: 0, waitMs: 5000)
    run.turns()
    let before = run.server.server.services.counters.turns
    run.turns(6, passMs: 2000)
    #expect(try run.answers() == [1: 19])
    #expect(run.server.server.services.counters.turns - before == 6)
    #expect(run.time.nowMs >= 1_900_000_005_000)
  }
}
