// `bench headofline`: messages of the RabbitMQ front end with ever shorter times to live, published longest first into one
// queue, each measured when its dead letter arrives.
//
// Holds: exit code 1 when a message came early, twice or not at all.
// Leaves to others: the queues, and what lateness is (WaitingQueue).

import Glibc
import Platform

enum HeadOfLineBenchmark {
  private static let help = """
    bench headofline [flags]

      --messages N     messages (10000)
      --longest-ms N   time to live of the first (10000)
      --shortest-ms N  time to live of the last (10)
      --batch N        messages sent before their confirms are read (50)
    \(Flags.serverHelp)
    """

  static func run(arguments: [String]) {
    let flags = Flags(
      arguments,
      defaults: Flags.serverDefaults([
        "messages": "10000", "longest-ms": "10000", "shortest-ms": "10", "batch": "50",
      ]), help: help)
    sayExpected(seconds: flags.number("longest-ms") / 1000 + flags.number("messages") / 20_000 + 1)
    let server = ServerProcess(flags)
    defer { server.stop() }
    let count = max(2, flags.number("messages"))
    let longest = flags.number("longest-ms")
    let shortest = flags.number("shortest-ms")
    let step = Double(longest - shortest) / Double(count - 1)
    let queue = WaitingQueue(ttlsMs: (0..<count).map { longest - Int(Double($0) * step) })
    queue.declare(server)
    let consumer = queue.consume(server, timeoutS: 20)
    let letters = Letters(count)
    let thread = try? Thread(name: "letters") { letters.receive(consumer) }
    let publishedNs = queue.publish(server, batch: max(1, flags.number("batch")))
    thread?.join()
    say("headofline: \(count) messages, \(longest) ms down to \(shortest) ms, longest first")
    say("  published within \(Figures.ms(ns: publishedNs)), load \(Figures.machineLoad())")
    if !queue.report(letters) {
      server.stop()
      exit(1)
    }
  }
}
