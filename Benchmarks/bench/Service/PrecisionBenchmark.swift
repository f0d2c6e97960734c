// `bench precision`: how late messages reach a consumer while many others are pending.
//
// Lateness of a message is the wall time at which the read that brought its line returned, minus its `deliverAtMs`. The due times are
// laid down before anything is measured, so a stall is charged to every message that was due meanwhile.
// Leaves to others: the engine without sockets (InProcessEngine), what came and when (PrecisionPlan).

import LineProtocol
import Platform
import Primitives

enum PrecisionBenchmark {
  static let command = Command(
    name: "precision", summary: "how late messages reach a consumer",
    options: [
      Option("pending", 100_000, "messages that stay pending all the time"),
      Option("rate", 5000, "messages due in a second, evenly spread"),
      Option("seconds", 20, "how long"),
      Option("body-bytes", 128, "size of a body"),
      Option(
        "feed", 1, "replace every released message by a new one at the same pace: 1, into another topic: 2, no: 0"),
      Option("stall", 0, "ms that every sync of the server takes longer"),
      .onOff("in-process", "the engine in this process, without sockets and the wire"),
    ] + Option.ofServers, run: run)

  private static func run(_ flags: Flags) -> Report {
    let plan = PrecisionPlan(flags)
    let loadS = max(plan.count, plan.pending) / Load.usualMessagesPerSecond
    sayExpected(seconds: loadS + 11 + plan.count / 50_000 + flags.number("seconds"))
    let isInProcess = flags.has("in-process")
    let end = isInProcess ? "the engine may show it" : "the read that brought it returned"
    var report = Report(
      flags, title: isInProcess ? "How late messages leave the engine" : "How late messages reach a consumer",
      meaning: """
        \(Figures.spaced(plan.rate)) messages a second fall due, evenly spread, while \(Figures.spaced(plan.pending)) are pending; each \
        counts from its due time until \(end).
        """)
    let disk = LimitBenchmark.syncs(1000, in: flags.text("folder"))
    let sleep = LimitBenchmark.wakes(min(10_000, 500 * flags.number("seconds")))
    if isInProcess { InProcessPrecision.run(plan, flags, &report) } else { runServer(plan, flags, &report) }
    report.add("the disk alone: write 4 KiB + fdatasync", disk)
    report.add("the machine alone: late out of a sleep of 1 ms", sleep)
    GeneratorLimit.fill(&report, bodyBytes: flags.number("body-bytes"))
    return report
  }

  private static func runServer(_ plan: PrecisionPlan, _ flags: Flags, _ report: inout Report) {
    let server = ServerProcess(flags, stallMs: flags.number("stall"))
    defer { server.stop() }
    let text = RequestText(topic: "precision", bodyBytes: flags.number("body-bytes"))
    let reader = GroupReader(server, text, timeoutS: 10)
    let loader = LineConnection(server)
    Progress.begin("loading", of: max(plan.count, plan.pending))
    let farMs = SystemClock.wallNs() / 1_000_000 + 3_600_000
    Load.unanswered(loader, plan.others) { number, acks, out in
      text.schedule(plan.count + number, atMs: farMs + Int64(number), acks, to: &out)
    }
    let startMs = plan.begin()
    Load.unanswered(loader, plan.count) { number, acks, out in
      text.schedule(number, atMs: plan.dueMs(number), acks, to: &out)
    }
    if SystemClock.wallNs() / 1_000_000 > startMs { fail("loading took too long; take fewer messages") }
    server.pause(flags)
    let feedText = RequestText(
      topic: flags.number("feed") == 2 ? "other" : "precision", bodyBytes: flags.number("body-bytes"))
    let feeder = flags.number("feed") == 0 ? nil : feed(loader, feedText, plan)
    Progress.begin("receiving", of: plan.count)
    while SystemClock.wallNs() / 1_000_000 < startMs - 5 { SystemClock.pause(ns: 1_000_000) }
    let cpuBefore = server.cpuNs
    let isComplete = reader.receive(until: plan.count) { line, offsetEnd, readNs in
      var place = offsetEnd
      let id = LineScan.number(after: "\"id\":\"", in: line, &place) ?? -1
      plan.note(id, dueMs: LineScan.number(after: "\"deliverAtMs\":", in: line, &place) ?? -1, atNs: readNs)
    }
    let cpuNs = server.cpuNs - cpuBefore
    feeder?.join()
    plan.fill(&report, cpuNs: cpuNs)
    report.check(isComplete, "messages stopped coming")
  }

  /// Schedules a far message for every one that leaves, once a millisecond.
  private static func feed(_ connection: LineConnection, _ text: RequestText, _ plan: PrecisionPlan) -> Thread? {
    let (count, rate, startMs) = (plan.count, plan.rate, plan.startMs)
    return try? Thread(name: "feed") {
      var sent = 0
      var out = ByteBuffer(capacity: 64 << 10)
      while sent < count {
        SystemClock.pause(ns: 1_000_000)
        let due = min(count, Int(max(0, SystemClock.wallNs() / 1_000_000 - startMs)) * rate / 1000)
        while sent < due {
          text.schedule(nil, atMs: startMs + 7_200_000 + Int64(sent), .none, to: &out)
          sent += 1
        }
        connection.send(&out)
      }
    }
  }
}
