// `bench amqp`: what AMQP clients get: messages a second, how late delayed ones come, what a million of those take, what connections
// cost; beside an installed RabbitMQ, which takes turns with this project's server in the same run.
//
// Leaves to others: the single parts (AMQPThroughput, AMQPLateness, AMQPResting), who is measured (AMQPBroker).

import Platform
import Primitives

enum AMQPBenchmark {
  static let command = Command(
    name: "amqp", summary: "what AMQP clients get, beside RabbitMQ",
    options: [
      Option("part", "all", "throughput, late, pending, connections or all"),
      Option("messages", 1_000_000, "messages of each part of a round"),
      Option("peer-messages", 100_000, "the same for RabbitMQ"),
      Option("rounds", 3, "how often each has its turn; medians are shown"),
      Option("window", 16_384, "publishes of a connection without confirm"),
      Option("prefetch", 8192, "deliveries without acknowledgement"),
      Option("rate", 10_000, "messages falling due in a second, for the lateness"),
      Option("peer-rate", 2000, "the same for RabbitMQ"),
      Option("ladder-rate", 200, "the same on the ladder of 28 queues"),
      Option("seconds", 10, "for so long"),
      Option("pending", 1_000_000, "messages pending in an exchange that delays, for memory and restart"),
      Option("connections", 1000, "connections without traffic, with ten channels each"),
      .onOff("alone", "without RabbitMQ"),
    ] + Option.ofServers, run: run)

  private static func run(_ flags: Flags) -> Report {
    var report = Report(
      flags, title: "AMQP 0-9-1",
      meaning: """
        Messages of 128 bytes over one connection, written and read by a client that does no more than it must. A confirm stands for \
        stable storage. A message is late from the end of the millisecond in which its time is over until the read that brought it \
        returned.
        """)
    let kind = RabbitMQPeer.kind
    if !flags.has("alone"), !kind.isInstalled {
      report.notes.append("RabbitMQ is left out: there is no \(kind.program ?? ""); `\(kind.package)` brings it.")
    }
    let isAlone = flags.has("alone") || !kind.isInstalled
    let part = flags.text("part")
    guard ["throughput", "late", "pending", "connections", "all"].contains(part) else {
      fail("there is no part '\(part)'")
    }
    func isWanted(_ name: String) -> Bool { part == name || part == "all" }
    let usual = flags.number("messages") / 100_000 + 4 * flags.number("seconds")
    sayExpected(seconds: max(1, flags.number("rounds")) * usual + (isAlone ? 10 : 150))
    if isWanted("throughput") || isWanted("late") {
      inTurns(isAlone, flags) { brokers in
        if isWanted("throughput") { AMQPThroughput.measure(brokers, flags, &report) }
        if isWanted("late") { AMQPLateness.measure(brokers, flags, &report) }
      }
    }
    if isWanted("pending") { AMQPResting.pending(flags, &report) }
    if isWanted("connections") { AMQPResting.connections(flags, &report) }
    return report
  }

  /// Runs what both brokers can do, in turns.
  private static func inTurns(_ isAlone: Bool, _ flags: Flags, _ body: ([any AMQPBroker]) -> Void) {
    let ours = ServerProcess.speakingAMQP(flags)
    defer { ours.stop() }
    Progress.begin("RabbitMQ: starting")
    let theirs = isAlone ? nil : InstalledRabbitMQ(flags)
    defer { theirs?.stop() }
    Progress.end()
    ours.pause(flags)
    body([ours] + (theirs.map { [$0] } ?? []))
  }
}
