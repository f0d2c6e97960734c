// `bench memory`: what very many pending messages take, and how long the server needs to start with them.

import Glibc
import Platform

enum MemoryBenchmark {
  static let command = Command(
    name: "memory", summary: "memory, load rate and recovery with very many",
    options: [
      Option("messages", 10_000_000, "messages pending over the next day"),
      Option("body-bytes", 128, "size of a body"),
    ] + Option.ofServers, run: run)

  private static func run(_ flags: Flags) -> Report {
    let count = flags.number("messages")
    // Loading, and two starts that read everything.
    sayExpected(seconds: 2 * count / Load.usualMessagesPerSecond + 2)
    var report = Report(
      flags, title: "\(Figures.spaced(count)) messages pending",
      meaning: "What they take in memory and on disk, and the time from the start of the process until it listens.")
    let server = ServerProcess(flags)
    defer { server.stop() }
    let emptyBytes = server.residentBytes
    do {
      let connection = LineConnection(server, timeoutS: 600)
      Resting.loadFar(connection, flags, &report)
      Resting.fillMemory("after loading", server, emptyBytes, count, of: "message", &report)
    }
    report.add("in the folder", server.folderBytes, "B")
    restart(server, SIGKILL, "a kill", count, &report)
    restart(server, SIGTERM, "a clean stop", count, &report)
    Resting.fillMemory("after the start", server, emptyBytes, count, of: "message", &report)
    return report
  }

  /// Ends the server with `signal`, starts it again, and sees that all that was pending is.
  static func restart(
    _ server: ServerProcess, _ signal: Int32, _ name: String, _ count: Int, _ report: inout Report
  ) {
    Progress.begin("start after \(name)")
    let stopNs = SystemClock.bootNs()
    server.end(signal)
    let startNs = SystemClock.bootNs()
    server.start()
    report.add("start after \(name)", SystemClock.bootNs() - startNs, "ns")
    report.add("end by \(name)", startNs - stopNs, "ns")
    let pending = LineConnection(port: server.linePort).statistic("pending")
    report.check(pending == count, "\(pending) are pending after \(name), \(count) were accepted")
  }
}
