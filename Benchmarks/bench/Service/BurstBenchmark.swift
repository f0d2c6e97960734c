// `bench burst`: many messages due in the same millisecond, and one of another topic due a millisecond later.

import Glibc
import LineProtocol
import Platform

enum BurstBenchmark {
  static let command = Command(
    name: "burst", summary: "many messages due in the same millisecond",
    options: [
      Option("messages", 100_000, "messages of the burst"),
      Option("rounds", 5, "bursts"),
      Option("body-bytes", 128, "size of a body"),
    ] + Option.ofServers, run: run)

  private struct Findings {
    var lastNs: [Double] = []
    var cpuNs: [Double] = []
    var each = LatencyHistogram()
    var last = LatencyHistogram()
    var other = LatencyHistogram()
    var rate: RateSeries?
  }

  private static func run(_ flags: Flags) -> Report {
    let count = max(1, flags.number("messages"))
    let rounds = max(1, flags.number("rounds"))
    sayExpected(seconds: rounds * (Int(leadMs(count)) + count / 200) / 1000)
    var report = Report(
      flags, title: "\(Figures.spaced(count)) messages due in one millisecond",
      meaning:
        "Each message counts from its due time until the read that brought it returned, by one consumer of the topic.")
    let server = ServerProcess(flags)
    defer { server.stop() }
    let burst = RequestText(topic: "burst", bodyBytes: flags.number("body-bytes"))
    let other = RequestText(topic: "other", bodyBytes: 16)
    let readers = (burst: GroupReader(server, burst), other: GroupReader(server, other))
    let loader = LineConnection(server)
    server.pause(flags)
    var findings = Findings()
    for round in 1...rounds {
      Progress.begin("burst \(round) of \(rounds)", of: count)
      let dueMs = SystemClock.wallNs() / 1_000_000 + leadMs(count)
      Load.unanswered(loader, count) { _, acks, out in burst.schedule(nil, atMs: dueMs, acks, to: &out) }
      Load.unanswered(loader, 1) { _, acks, out in other.schedule(nil, atMs: dueMs + 1, acks, to: &out) }
      if SystemClock.wallNs() / 1_000_000 > dueMs { fail("loading took too long; take fewer messages") }
      let cpuBefore = server.cpuNs
      receive(round, count, dueMs, readers, &findings)
      findings.cpuNs.append(Double(server.cpuNs - cpuBefore) / Double(count))
    }
    fill(&report, findings, count)
    GeneratorLimit.fill(&report, bodyBytes: flags.number("body-bytes"))
    return report
  }

  private static func receive(
    _ round: Int, _ count: Int, _ dueMs: Int64, _ readers: (burst: GroupReader, other: GroupReader),
    _ findings: inout Findings
  ) {
    let other = readers.other
    let thread = try? Thread(name: "other") { if !other.receive(until: round) { fail("the other is missing") } }
    var each = findings.each
    var rate = RateSeries(startNs: dueMs * 1_000_000, intervalMs: 10)
    let isComplete = readers.burst.receive(until: round * count) { _, _, readNs in
      each.record(readNs - dueMs * 1_000_000)
      rate.add(1, atNs: readNs)
    }
    guard isComplete, readers.burst.outOfOrder == 0 else { fail("the burst has gaps") }
    thread?.join()
    findings.each = each
    findings.rate = rate
    let lastNs = readers.burst.lastReadNs - dueMs * 1_000_000
    findings.lastNs.append(Double(lastNs))
    findings.last.record(lastNs)
    findings.other.record(other.lastReadNs - (dueMs + 1) * 1_000_000)
  }

  private static func fill(_ report: inout Report, _ findings: Findings, _ count: Int) {
    report.add("a message of the burst", findings.each)
    report.add("the last of a burst", findings.last)
    report.add("another topic's, due 1 ms later", findings.other)
    if let rate = findings.rate { report.add("received in the last burst", rate) }
    report.add("last one received, median", Figures.median(findings.lastNs), "ns")
    report.add("processor time of the server a message, median", Figures.median(findings.cpuNs), "ns")
    let early = findings.each.early + findings.other.early
    report.check(early == 0, "\(early) came early")
  }

  private static func leadMs(_ count: Int) -> Int64 { 1500 + Int64(count / 100) }
}
