// `bench headofline`: messages of the RabbitMQ front end with ever shorter times to live, published longest first into one
// queue, each measured when its dead letter arrives.
//
// Holds: a message that came early, twice or not at all is a fault.
// Leaves to others: the queues, and what lateness is (WaitingQueue).

import Glibc
import Platform

enum HeadOfLineBenchmark {
  static let command = Command(
    name: "headofline", summary: "how late RabbitMQ messages expire behind longer-lived ones",
    options: [
      Option("messages", 10_000, "messages"),
      Option("longest-ms", 10_000, "time to live of the first"),
      Option("shortest-ms", 10, "time to live of the last"),
      Option("batch", 50, "messages sent before their confirms are read"),
    ] + Option.ofServers, run: run)

  private static func run(_ flags: Flags) -> Report {
    var report = Report(
      flags, title: "RabbitMQ messages that expire in front of longer-lived ones",
      meaning: """
        Messages with ever shorter times to live, longest first, into one queue; each counts from before its batch was sent until \
        its dead letter was read, minus its time to live.
        """)
    sayExpected(seconds: flags.number("longest-ms") / 1000 + flags.number("messages") / 20_000 + 1)
    let server = ServerProcess(flags)
    defer { server.stop() }
    let count = max(2, flags.number("messages"))
    let longest = flags.number("longest-ms")
    let shortest = flags.number("shortest-ms")
    let step = Double(longest - shortest) / Double(count - 1)
    let queue = WaitingQueue(ttlsMs: (0..<count).map { longest - Int(Double($0) * step) })
    queue.declare(server)
    Progress.begin("waiting for the dead letters", of: count)
    let consumer = queue.consume(server, timeoutS: 20)
    let letters = Letters(count)
    let thread = try? Thread(name: "letters") { letters.receive(consumer) }
    let publishedNs = queue.publish(server, batch: max(1, flags.number("batch")))
    thread?.join()
    report.add("published within", publishedNs, "ns")
    queue.fill(&report, letters)
    return report
  }
}
