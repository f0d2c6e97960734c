// `bench idle`: what many pending messages cost while nothing is due.

import Glibc

enum IdleBenchmark {
  static let command = Command(
    name: "idle", summary: "what many pending messages cost while nothing is due",
    options: [
      Option("messages", 1_000_000, "messages pending far ahead"),
      Option("seconds", 10, "how long to watch"),
      Option("body-bytes", 128, "size of a body"),
    ] + Option.ofServers, run: run)

  private static func run(_ flags: Flags) -> Report {
    sayExpected(seconds: flags.number("messages") / Load.usualMessagesPerSecond + 4 + flags.number("seconds"))
    var report = Report(
      flags, title: "A server with much to remember and nothing to do",
      meaning: "What the process uses while messages wait that are an hour and more ahead.")
    let server = ServerProcess(flags)
    defer { server.stop() }
    let connection = LineConnection(server)
    let emptyBytes = server.residentBytes
    Resting.loadFar(connection, flags, &report)
    // Writing behind goes on for a moment after the last reply.
    sleep(3)
    Resting.watch(server, connection, seconds: flags.number("seconds"), &report)
    report.add("resident when empty", emptyBytes, "B")
    Resting.fillMemory("then", server, emptyBytes, flags.number("messages"), of: "message", &report)
    return report
  }
}
