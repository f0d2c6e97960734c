// `bench expiry`: very many persistent messages of the RabbitMQ front end in one queue, each with a time to live of its own,
// and a loss of the server while they wait: what they cost, how long the start takes, how late each expires.
//
// Holds: the times to live are spread evenly and in no order; exit code 1 when a message came early, twice or not at all, or
// when one had expired before the server was killed.
// Leaves to others: the queues, and what lateness is (WaitingQueue).

import Glibc
import LineProtocol
import Platform

enum ExpiryBenchmark {
  private static let help = """
    bench expiry [flags]

      --messages N   messages (1000000)
      --from-ms N    the shortest time to live; loading and the start must be over by then (60000)
      --to-ms N      the longest (180000)
      --batch N      messages sent before their confirms are read (100); they count from then
    \(Flags.serverHelp)
    """

  static func run(arguments: [String]) {
    let flags = Flags(
      arguments,
      defaults: Flags.serverDefaults(["messages": "1000000", "from-ms": "60000", "to-ms": "180000", "batch": "100"]),
      help: help)
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
    say("expiry: \(count) messages, \(fromMs) ms to \(fromMs + spreadMs) ms to live, load \(Figures.machineLoad())")
    queue.declare(server)
    let ns = queue.publish(server, batch: max(1, flags.number("batch")))
    say("  published in \(Figures.seconds(ns: ns)), \(Figures.rate(count, ns: ns)) a second")
    reportSize(server, emptyBytes, count)
    restart(server)
    reportSize(server, emptyBytes, count)
    server.pause(flags)
    let letters = Letters(count)
    letters.receive(queue.consume(server, timeoutS: fromMs / 1000 + 30))
    let isRight = queue.report(letters)
    reportSize(server, emptyBytes, count)
    server.stop()
    if !isRight { exit(1) }
  }

  private static func reportSize(_ server: ServerProcess, _ emptyBytes: Int, _ count: Int) {
    let connection = LineConnection(server)
    let bytes = server.residentBytes
    say(
      "  \(connection.statistic("expiring")) wait, \(connection.statistic("pendingOnDisk")) of them on disk only; "
        + "\(Figures.mebibytes(bytes)) resident, \(max(0, bytes - emptyBytes) / count) bytes a message; "
        + "\(Figures.mebibytes(server.folderBytes)) in the folder")
  }

  private static func restart(_ server: ServerProcess) {
    if LineConnection(server).statistic("deadLettered") > 0 { fail("some expired during the load: raise --from-ms") }
    server.end(SIGKILL)
    let startNs = SystemClock.bootNs()
    server.start()
    say("  killed; \(Figures.seconds(ns: SystemClock.bootNs() - startNs)) until it listens again")
  }
}
