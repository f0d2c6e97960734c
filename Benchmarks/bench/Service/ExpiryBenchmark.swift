// `bench expiry`: very many persistent messages of the RabbitMQ front end in one queue, each with a time to live of its own,
// and a loss of the server while they wait: what they cost, how long the start takes, how late each expires.
//
// Holds: the times to live are spread evenly and in no order; a message that came early, twice or not at all is a fault; none
// has expired before the server is killed.
// Leaves to others: the queues, and what lateness is (WaitingQueue).

import Glibc
import LineProtocol
import Platform

enum ExpiryBenchmark {
  static let command = Command(
    name: "expiry", summary: "very many RabbitMQ messages with times to live: cost, start, lateness",
    options: [
      Option("messages", 1_000_000, "messages"),
      Option("from-ms", 60_000, "the shortest time to live; loading and the start must be over by then"),
      Option("to-ms", 180_000, "the longest"),
      Option("batch", 100, "messages sent before their confirms are read; they count from then"),
    ] + Option.ofServers, run: run)

  private static func run(_ flags: Flags) -> Report {
    var report = Report(
      flags, title: "Very many RabbitMQ messages with times to live",
      meaning: """
        Persistent messages in one queue, their times to live spread evenly and in no order, and a kill of the server while they \
        wait; each counts from before its batch was sent until its dead letter was read, minus its time to live.
        """)
    let count = max(1, flags.number("messages"))
    let fromMs = flags.number("from-ms")
    let spreadMs = max(0, flags.number("to-ms") - fromMs)
    // A prime step visits every place once, unless the count is a multiple of it.
    let step = count % 7919 == 0 ? 7907 : 7919
    let queue = WaitingQueue(
      ttlsMs: (0..<count).map { fromMs + Int(Double($0 * step % count) / Double(count) * Double(spreadMs)) })
    sayExpected(seconds: flags.number("to-ms") / 1000 + count / 50_000 + 1)
    let server = ServerProcess(flags)
    let emptyBytes = server.residentBytes
    queue.declare(server)
    Progress.begin("publishing")
    let ns = queue.publish(server, batch: max(1, flags.number("batch")))
    report.add("published", Figures.rate(count, ns: ns), "messages/s")
    fillSize(&report, "after publishing", server, emptyBytes, count)
    restart(&report, server)
    fillSize(&report, "after the start", server, emptyBytes, count)
    server.pause(flags)
    let letters = Letters(count)
    Progress.begin("waiting for the dead letters", of: count)
    letters.receive(queue.consume(server, timeoutS: fromMs / 1000 + 30))
    queue.fill(&report, letters)
    fillSize(&report, "at the end", server, emptyBytes, count)
    server.stop()
    return report
  }

  private static func fillSize(
    _ report: inout Report, _ moment: String, _ server: ServerProcess, _ emptyBytes: Int, _ count: Int
  ) {
    let connection = LineConnection(server)
    let bytes = server.residentBytes
    report.add("waiting \(moment)", connection.statistic("expiring"), "messages")
    report.add("of them on disk only", connection.statistic("pendingOnDisk"), "messages")
    report.add("resident", bytes, "B")
    report.add("resident for a message", max(0, bytes - emptyBytes) / count, "B")
    report.add("in the folder", server.folderBytes, "B")
  }

  private static func restart(_ report: inout Report, _ server: ServerProcess) {
    if LineConnection(server).statistic("deadLettered") > 0 { fail("some expired during the load: raise --from-ms") }
    server.end(SIGKILL)
    let startNs = SystemClock.bootNs()
    server.start()
    report.add("from the start after the kill until it listens", SystemClock.bootNs() - startNs, "ns")
  }
}
