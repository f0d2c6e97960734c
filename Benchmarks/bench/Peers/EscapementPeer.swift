// This project's server, on the line protocol, as any client would use it.

import LineProtocol
import Platform
import Primitives

final class EscapementPeer: Peer {
  static let kind = PeerKind(
    name: "Escapement", settings: "--fsync always; pushed to a subscription, acknowledged", isOurs: true,
    program: nil, package: "swift build -c release --product escapement"
  ) { _, flags in EscapementPeer(ServerProcess(flags)) }

  private let port: UInt16
  private let topic: String
  private let end: () -> Void

  private convenience init(_ server: ServerProcess) { self.init(port: server.port, topic: "peers") { server.stop() } }

  /// A server that runs, and a topic that is there.
  init(port: UInt16, topic: String, end: @escaping () -> Void) {
    self.port = port
    self.topic = topic
    self.end = end
  }

  func scheduler() -> any PeerScheduler { Scheduler(LineConnection(port: port), topic) }
  func receiver() -> any PeerReceiver { Receiver(LineConnection(port: port), topic) }
  func stop() { end() }

  private final class Scheduler: PeerScheduler {
    let connection: LineConnection
    private let start: [UInt8]

    init(_ connection: LineConnection, _ topic: String) {
      self.connection = connection
      start = Array("{\"op\":\"schedule\",\"topic\":\"\(topic)\",\"deliverAtMs\":".utf8)
    }

    func schedule(_ number: Int, delayMs: Int, to out: inout ByteBuffer) {
      let dueMs = PeerBody.nowMs() + Int64(delayMs)
      start.withUnsafeBytes { out.append($0) }
      out.appendInteger(dueMs)
      out.append(",\"body\":\"")
      PeerBody.append(number, dueMs: dueMs, to: &out)
      out.append("\"}\n")
    }

    func takeReplies() -> Int { connection.takeReplies() }
  }

  private final class Receiver: PeerReceiver {
    private let connection: LineConnection
    private var out = ByteBuffer()
    private var next = 0
    private var sub = 0

    init(_ connection: LineConnection, _ topic: String) {
      self.connection = connection
      RequestText(topic: topic, bodyBytes: 0).subscribe(group: "bench", credit: 65_536, to: &out)
      connection.send(&out)
      while connection.receive() {
        guard let line = connection.nextLine() else { continue }
        var place = 0
        guard let sub = LineScan.number(after: "\"sub\":", in: line, &place) else { fail("no subscription") }
        self.sub = sub
        return
      }
      fail("no reply came")
    }

    func receive(_ use: (UnsafeRawBufferPointer) -> Void) {
      guard connection.hasUnread || connection.waits(ms: 20) && connection.receive() else { return }
      let before = next
      while let line = connection.nextLine() {
        use(line)
        next += 1
      }
      if next == before { return }
      RequestText.ack(sub: sub, upTo: next - 1, to: &out)
      connection.send(&out)
    }
  }
}
