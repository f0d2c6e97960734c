// `bench throughput`: how many messages a second the server takes, and how many it hands out.
//
// Holds: a part that counts replies is a closed loop, its times counted as `Load.answered` says; every part has a server of its own.

import Glibc
import LineProtocol
import Platform
import Primitives

enum ThroughputBenchmark {
  static let command = Command(
    name: "throughput", summary: "messages a second: scheduled, cancelled, consumed, released",
    options: [
      Option("part", "all", "single, schedule, many, cancel, backlog, release or all"),
      Option("messages", 1_000_000, "messages of a part"),
      Option("connections", 2, "connections that schedule"),
      Option("window", 4096, "requests of a connection without reply"),
      Option("batch", 100, "messages of a scheduleMany"),
      Option("single", 2000, "messages of the part 'single', one at a time"),
      Option("pending", 0, "messages that are pending before 'schedule' begins"),
      Option("release-rate", 200_000, "messages due in a second in the part 'release'"),
      Option("body-bytes", 128, "size of a body"),
    ] + Option.ofServers, run: run)

  private struct Part {
    let name: String
    let work: (ServerProcess, RequestText, Flags, inout Report) -> Void
  }

  private static func run(_ flags: Flags) -> Report {
    let parts = [
      Part(name: "single", work: single), Part(name: "schedule", work: schedule), Part(name: "many", work: many),
      Part(name: "cancel", work: cancel), Part(name: "backlog", work: backlog), Part(name: "release", work: release),
    ].filter { [$0.name, "all"].contains(flags.text("part")) }
    if parts.isEmpty { fail("there is no part '\(flags.text("part"))'") }
    let count = flags.number("messages")
    sayExpected(seconds: parts.count * (1 + 2 * count / Load.usualMessagesPerSecond))
    var report = Report(
      flags, title: "Messages a second",
      meaning: """
        Requests with replies are a closed loop: each counts from the moment at which its place in the window came free until the \
        read that brought its reply, which stands for stable storage.
        """)
    report.comparisons = [.init(title: "Messages a second", unit: "/s", isLowBetter: false, bars: [])]
    let text = RequestText(topic: "throughput", bodyBytes: flags.number("body-bytes"))
    for part in parts {
      let server = ServerProcess(flags)
      part.work(server, text, flags, &report)
      Progress.end()
      server.stop()
    }
    report.headlines = report.comparisons[0].bars.map { .init(name: $0.name, value: $0.value, unit: "/s") }
    GeneratorLimit.fill(&report, bodyBytes: flags.number("body-bytes"))
    return report
  }

  private static func add(
    _ report: inout Report, _ name: String, _ count: Int, ns: Int64, cpuNs: Int64, _ answers: Load.Answers? = nil
  ) {
    report.comparisons[0].bars.append(.init(name: name, value: Figures.rate(count, ns: ns), isOurs: true))
    report.add("\(name): processor time of the server a message", cpuNs / Int64(max(1, count)), "ns")
    guard let answers else { return }
    report.add(name, answers.times)
    report.add(name, answers.rate)
  }

  /// Runs `work` between two readings of the clocks.
  private static func timed(_ server: ServerProcess, _ work: () -> Void) -> (ns: Int64, cpuNs: Int64) {
    let cpuBefore = server.cpuNs
    let startNs = SystemClock.bootNs()
    work()
    return (SystemClock.bootNs() - startNs, server.cpuNs - cpuBefore)
  }

  private static func farMs(_ number: Int) -> Int64 {
    SystemClock.wallNs() / 1_000_000 + 3_600_000 + Int64(number % 3_600_000)
  }

  private static func single(_ server: ServerProcess, _ text: RequestText, _ flags: Flags, _ report: inout Report) {
    let count = max(1, flags.number("single"))
    Progress.begin("one at a time", of: count)
    let connection = LineConnection(server)
    var answers: Load.Answers?
    let time = timed(server) {
      answers = Load.answered(connection, count, window: 1) { number, acks, out in
        text.schedule(nil, atMs: farMs(number), acks, to: &out)
      }
    }
    add(&report, "schedule, one at a time", count, ns: time.ns, cpuNs: time.cpuNs, answers)
  }

  private static func schedule(_ server: ServerProcess, _ text: RequestText, _ flags: Flags, _ report: inout Report) {
    let connections = max(1, flags.number("connections"))
    let each = flags.number("messages") / connections
    let pending = flags.number("pending")
    Progress.begin("filling", of: pending)
    Load.unanswered(LineConnection(server, timeoutS: 600), pending) { number, acks, out in
      text.schedule(nil, atMs: farMs(number), acks, to: &out)
    }
    server.pause(flags)
    Progress.begin("scheduling", of: each * connections)
    let window = max(1, flags.number("window"))
    let first = farMs(0)
    let found = Shared<[Load.Answers]>([])
    let time = timed(server) {
      let threads = (0..<connections).compactMap { _ in
        let connection = LineConnection(server)
        return try? Thread(name: "schedule") {
          let answers = Load.answered(connection, each, window: window) { number, acks, out in
            text.schedule(nil, atMs: first + Int64(number % 3_600_000), acks, to: &out)
          }
          found.change { $0.append(answers) }
        }
      }
      for thread in threads { thread.join() }
    }
    let all = found.value
    var times = LatencyHistogram()
    for answers in all { times.add(answers.times) }
    let name = "schedule, \(connections) connections"
    add(&report, name, each * connections, ns: time.ns, cpuNs: time.cpuNs)
    report.add(name, times)
    for (place, answers) in all.enumerated() { report.add("schedule, connection \(place + 1)", answers.rate) }
  }

  private static func many(_ server: ServerProcess, _ text: RequestText, _ flags: Flags, _ report: inout Report) {
    let batch = max(1, flags.number("batch"))
    let count = max(1, flags.number("messages") / batch)
    Progress.begin("scheduleMany", of: count)
    let connection = LineConnection(server)
    var answers: Load.Answers?
    let first = farMs(0)
    let time = timed(server) {
      answers = Load.answered(connection, count, window: max(1, flags.number("window") / batch)) { number, _, out in
        text.scheduleMany(batch, fromMs: first + Int64(number % 3_600_000), to: &out)
      }
    }
    // Its rate over time counts requests, not messages, and is left out.
    add(&report, "scheduleMany of \(batch)", count * batch, ns: time.ns, cpuNs: time.cpuNs)
    if let answers { report.add("scheduleMany of \(batch), a request", answers.times) }
  }

  private static func cancel(_ server: ServerProcess, _ text: RequestText, _ flags: Flags, _ report: inout Report) {
    let count = max(1, flags.number("messages"))
    let connection = LineConnection(server)
    Progress.begin("loading what is to be cancelled", of: count)
    let first = farMs(0)
    Load.unanswered(connection, count) { number, acks, out in
      text.schedule(number, atMs: first + Int64(number % 3_600_000), acks, to: &out)
    }
    server.pause(flags)
    Progress.begin("cancelling", of: count)
    var answers: Load.Answers?
    let time = timed(server) {
      answers = Load.answered(connection, count, window: max(1, flags.number("window"))) { number, _, out in
        text.cancel(number, to: &out)
      }
    }
    add(&report, "cancel by id", count, ns: time.ns, cpuNs: time.cpuNs, answers)
  }

  private static func backlog(_ server: ServerProcess, _ text: RequestText, _ flags: Flags, _ report: inout Report) {
    let count = flags.number("messages")
    let loader = LineConnection(server)
    Progress.begin("publishing", of: count)
    let loading = timed(server) { Load.unanswered(loader, count) { _, acks, out in text.publish(acks, to: &out) } }
    add(&report, "publish, without replies", count, ns: loading.ns, cpuNs: loading.cpuNs)
    server.pause(flags)
    Progress.begin("consuming", of: count)
    let time = timed(server) { finish(GroupReader(server, text), count) }
    add(&report, "consume and acknowledge a backlog", count, ns: time.ns, cpuNs: time.cpuNs)
  }

  private static func release(_ server: ServerProcess, _ text: RequestText, _ flags: Flags, _ report: inout Report) {
    let count = flags.number("messages")
    let rate = max(1, flags.number("release-rate"))
    let reader = GroupReader(server, text)
    let loader = LineConnection(server)
    Progress.begin("loading", of: count)
    // At 80 000 messages a second the loading is done by the first release.
    let startMs = SystemClock.wallNs() / 1_000_000 + Int64(2000 + count / 80)
    Load.unanswered(loader, count) { number, acks, out in
      text.schedule(nil, atMs: startMs + Int64(number * 1000 / rate), acks, to: &out)
    }
    if SystemClock.wallNs() / 1_000_000 > startMs { fail("loading took too long; take fewer messages") }
    server.pause(flags)
    Progress.begin("releasing", of: count)
    while SystemClock.wallNs() / 1_000_000 < startMs - 5 { SystemClock.pause(ns: 1_000_000) }
    let cpuBefore = server.cpuNs
    finish(reader, count)
    let ns = reader.lastReadNs - startMs * 1_000_000
    add(&report, "release \(Figures.spaced(rate))/s and consume", count, ns: ns, cpuNs: server.cpuNs - cpuBefore)
  }

  private static func finish(_ reader: GroupReader, _ count: Int) {
    guard reader.receive(until: count), reader.outOfOrder == 0 else {
      fail("\(reader.received) of \(count) came, \(reader.outOfOrder) out of order")
    }
  }
}
