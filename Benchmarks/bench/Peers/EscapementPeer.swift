// This project's server, on the line protocol, as any client would use it.

import LineProtocol
import Platform
import Primitives

final class EscapementPeer: Peer {
  static let kind = PeerKind(
    name: "Escapement", settings: "--fsync always; pushed to a subscription, acknowledged", isOurs: true,
    program: nil, package: "swift build -c release --product escapement"
  ) { _, flags in EscapementPeer(ServerProcess(flags)) }

  private let server: ServerProcess

  private init(_ server: ServerProcess) { self.server = server }

  func scheduler() -> any PeerScheduler { Scheduler(LineConnection(server)) }
  func receiver() -> any PeerReceiver { Receiver(LineConnection(server)) }
  func stop() { server.stop() }

  private final class Scheduler: PeerScheduler {
    let connection: LineConnection

    init(_ connection: LineConnection) { self.connection = connection }

    func schedule(_ number: Int, delayMs: Int, to out: inout ByteBuffer) {
      let dueMs = PeerBody.nowMs() + Int64(delayMs)
      out.append("{\"op\":\"schedule\",\"topic\":\"peers\",\"deliverAtMs\":")
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

    init(_ connection: LineConnection) {
      self.connection = connection
      RequestText(topic: "peers", bodyBytes: 0).subscribe(group: "bench", credit: 65_536, to: &out)
      connection.exchange(&out)
    }

    func receive(_ use: (UnsafeRawBufferPointer) -> Void) {
      guard connection.hasUnread || connection.waits(ms: 20) && connection.receive() else { return }
      let before = next
      while let line = connection.nextLine() {
        use(line)
        next += 1
      }
      if next == before { return }
      RequestText.ack(sub: 1, upTo: next - 1, to: &out)
      connection.send(&out)
    }
  }
}
