// What rests: messages pending in an exchange that delays, and connections whose clients say nothing.

import CLinux
import Glibc
import LineProtocol
import Platform
import Primitives

enum AMQPResting {
  /// What very many delayed messages take, and how long a start with them takes after a kill.
  static func pending(_ flags: Flags, _ report: inout Report) {
    let count = flags.number("pending")
    let server = ServerProcess.speakingAMQP(flags)
    defer { server.stop() }
    let emptyBytes = server.residentBytes
    do {
      let wire = AMQPWire(port: server.port, timeoutS: 600)
      wire.declareDelayedExchange("later")
      wire.selectConfirms()
      report.add("delayed messages accepted", delay(count, wire), "/s")
      Resting.fillMemory("with delayed ones", server, emptyBytes, count, of: "delayed message", &report)
    }
    report.add("delayed messages in the folder", server.folderBytes, "B")
    MemoryBenchmark.restart(server, SIGKILL, "a kill with delayed messages", count, &report)
    Resting.fillMemory("after the start with them", server, emptyBytes, count, of: "delayed message", &report)
  }

  /// Publishes messages that are due over a day, from an hour ahead; gives how many a second were confirmed.
  private static func delay(_ count: Int, _ wire: AMQPWire) -> Double {
    Progress.begin("delaying", of: count)
    var message = AMQPMessage(exchange: "later", key: "k", delayMs: 0)
    var confirmed = AMQPConfirmed()
    let body = [UInt8](repeating: UInt8(ascii: "x"), count: PeerBody.bytes)
    let startNs = SystemClock.bootNs()
    _ = Load.answered(
      wire.connection, count, window: 16_384,
      write: { number, out in
        message.setDelay(ms: Int32(3_600_000 + number * 86_400_000 / count))
        out.append(message.head)
        out.append(body)
        out.append(byte: AMQPWire.frameEnd)
      }, endPiece: { _ in }, takeReplies: { confirmed.take(from: wire) })
    let perSecond = Figures.rate(count, ns: SystemClock.bootNs() - startNs)
    Progress.end()
    return perSecond
  }

  /// What connections with ten channels each take while nobody says anything.
  static func connections(_ flags: Flags, _ report: inout Report) {
    let count = flags.number("connections")
    guard clinux_raise_open_files() > count + 100 else { fail("this system allows too few open files") }
    let server = ServerProcess.speakingAMQP(flags)
    defer { server.stop() }
    let emptyBytes = server.residentBytes
    let asking = LineConnection(port: server.linePort)
    Progress.begin("connecting", of: count)
    let wires = (0..<count).map { _ in
      Progress.advance(1)
      return AMQPWire(port: server.port, channels: 10)
    }
    Progress.end()
    withExtendedLifetime(wires) {
      Resting.watch(server, asking, seconds: min(10, flags.number("seconds")), &report)
      Resting.fillMemory(
        "with \(Figures.spaced(count)) connections", server, emptyBytes, count, of: "connection with ten channels",
        &report)
    }
  }
}
