// `bench throughput`: how many messages a second the server takes, and how many it hands out.
//
// Three parts: scheduling far ahead from several connections, every reply from stable storage; consuming a backlog; and
// consuming while as many messages are being released.

import Glibc
import LineProtocol
import Platform

enum ThroughputBenchmark {
  private static let help = """
    bench throughput [flags]

      --part NAME        schedule, backlog, release or all (all)
      --messages N       messages of a part (1000000)
      --connections N    connections that schedule (2)
      --window N         requests of a connection without reply (4096)
      --release-rate N   messages due in a second in the part 'release' (200000)
      --body-bytes N     size of a body (128)
    \(Flags.serverHelp)
    """

  static func run(arguments: [String]) {
    let flags = Flags(
      arguments,
      defaults: Flags.serverDefaults([
        "part": "all", "messages": "1000000", "connections": "2", "window": "4096", "release-rate": "200000",
        "body-bytes": "128",
      ]), help: help)
    let text = RequestText(topic: "throughput", bodyBytes: flags.number("body-bytes"))
    let count = flags.number("messages")
    let releaseS = leadMs(count) / 1000 + count / max(1, flags.number("release-rate"))
    let loadS = count / Load.usualMessagesPerSecond
    let parts = [("schedule", loadS, schedule), ("backlog", loadS, backlog), ("release", releaseS, release)]
      .filter { [$0.0, "all"].contains(flags.text("part")) }
    sayExpected(seconds: parts.reduce(0) { $0 + $1.1 + 1 })
    for (name, _, part) in parts {
      say("\(name): \(count) messages ...")
      let server = ServerProcess(flags)
      part(server, text, flags)
      server.stop()
    }
  }

  private static func report(_ name: String, _ count: Int, ns: Int64, cpuNs: Int64, _ server: ServerProcess) {
    say(
      "\(name): \(Figures.rate(count, ns: ns)) messages a second (\(count) in \(Figures.seconds(ns: ns))); server "
        + "\(cpuNs / Int64(max(1, count))) ns of processor time a message, \(Figures.mebibytes(server.residentBytes)) "
        + "resident; load \(Figures.machineLoad())")
  }

  private static func schedule(_ server: ServerProcess, _ text: RequestText, _ flags: Flags) {
    let each = flags.number("messages") / max(1, flags.number("connections"))
    let window = flags.number("window")
    let far = SystemClock.wallNs() / 1_000_000 + 3_600_000
    server.pause(flags)
    let cpuBefore = server.cpuNs
    let startNs = SystemClock.bootNs()
    let threads = (0..<max(1, flags.number("connections"))).compactMap { _ in
      let connection = LineConnection(server)
      return try? Thread(name: "schedule") {
        Load.answered(connection, each, window: window) { number, acks, out in
          text.schedule(nil, atMs: far + Int64(number % 3_600_000), acks, to: &out)
        }
      }
    }
    for thread in threads { thread.join() }
    let ns = SystemClock.bootNs() - startNs
    report(
      "schedule, \(threads.count) connections", each * threads.count, ns: ns, cpuNs: server.cpuNs - cpuBefore, server)
  }

  private static func backlog(_ server: ServerProcess, _ text: RequestText, _ flags: Flags) {
    let count = flags.number("messages")
    let loader = LineConnection(server)
    let loadNs = SystemClock.bootNs()
    let loadCPU = server.cpuNs
    Load.unanswered(loader, count) { _, acks, out in text.publish(acks, to: &out) }
    report("publish", count, ns: SystemClock.bootNs() - loadNs, cpuNs: server.cpuNs - loadCPU, server)
    server.pause(flags)
    let cpuBefore = server.cpuNs
    let startNs = SystemClock.wallNs()
    let reader = GroupReader(server, text)
    finish(reader, count)
    report("consume a backlog", count, ns: reader.lastReadNs - startNs, cpuNs: server.cpuNs - cpuBefore, server)
  }

  private static func release(_ server: ServerProcess, _ text: RequestText, _ flags: Flags) {
    let count = flags.number("messages")
    let rate = max(1, flags.number("release-rate"))
    let reader = GroupReader(server, text)
    let loader = LineConnection(server)
    let startMs = SystemClock.wallNs() / 1_000_000 + Int64(leadMs(count))
    Load.unanswered(loader, count) { number, acks, out in
      text.schedule(nil, atMs: startMs + Int64(number * 1000 / rate), acks, to: &out)
    }
    if SystemClock.wallNs() / 1_000_000 > startMs { fail("loading took too long; take fewer messages") }
    server.pause(flags)
    while SystemClock.wallNs() / 1_000_000 < startMs - 5 { SystemClock.pause(ns: 1_000_000) }
    let cpuBefore = server.cpuNs
    finish(reader, count)
    let ns = reader.lastReadNs - startMs * 1_000_000
    report("release \(rate) a second and consume", count, ns: ns, cpuNs: server.cpuNs - cpuBefore, server)
  }

  /// How long before the first release the loading begins: at 80 000 messages a second it is done by then.
  private static func leadMs(_ count: Int) -> Int { 2000 + count / 80 }

  private static func finish(_ reader: GroupReader, _ count: Int) {
    guard reader.receive(until: count), reader.outOfOrder == 0 else {
      fail("\(reader.received) of \(count) came, \(reader.outOfOrder) out of order")
    }
  }
}
