// `bench connections`: what idle connections and groups cost.

import CLinux
import Glibc
import LineProtocol
import Platform

enum ConnectionsBenchmark {
  static let command = Command(
    name: "connections", summary: "what idle connections and groups cost",
    options: [
      Option("connections", 10_000, "connections without traffic"),
      Option("groups", 1000, "groups with a member each"),
      Option("seconds", 10, "how long to watch"),
    ] + Option.ofServers, run: run)

  private static func run(_ flags: Flags) -> Report {
    let wanted = flags.number("connections")
    sayExpected(seconds: flags.number("seconds") + wanted / 5000 + 1)
    guard clinux_raise_open_files() > wanted + 100 else { fail("this system allows too few open files") }
    var report = Report(
      flags, title: "\(Figures.spaced(wanted)) idle connections",
      meaning: "What the server uses while nobody says anything.")
    let server = ServerProcess(flags)
    defer { server.stop() }
    let emptyBytes = server.residentBytes
    let asking = LineConnection(server)
    Progress.begin("connecting", of: wanted)
    let startNs = SystemClock.bootNs()
    var descriptors: [Int32] = []
    for number in 0..<wanted {
      descriptors.append(connect(server, number, groups: flags.number("groups")))
      Progress.advance(1)
    }
    defer { for descriptor in descriptors { Socket.close(descriptor) } }
    report.add("connected", Figures.rate(wanted, ns: SystemClock.bootNs() - startNs), "connections/s")
    report.add("connections", asking.statistic("connections") - 1, "")
    report.add("groups", asking.statistic("groups"), "")
    Resting.watch(server, asking, seconds: flags.number("seconds"), &report)
    Resting.fillMemory("then", server, emptyBytes, wanted, of: "connection", &report)
    return report
  }

  /// A plain descriptor: a LineConnection's buffer would be 40 GiB for ten thousand.
  private static func connect(_ server: ServerProcess, _ number: Int, groups: Int) -> Int32 {
    guard let descriptor = try? Socket.connect(host: "127.0.0.1", port: server.port) else { fail("no connection") }
    guard number < groups else { return descriptor }
    let line = Array("{\"op\":\"subscribe\",\"topic\":\"t\(number % 100)\",\"group\":\"g\(number)\"}\n".utf8)
    line.withUnsafeBytes { _ = Socket.write(descriptor, $0) }
    return withUnsafeTemporaryAllocation(byteCount: 256, alignment: 8) { reply in
      guard case .bytes(let count) = Socket.read(descriptor, into: reply), count > 10,
        LineScan.isGoodReply(UnsafeRawBufferPointer(reply))
      else { fail("a subscription failed") }
      return descriptor
    }
  }
}
