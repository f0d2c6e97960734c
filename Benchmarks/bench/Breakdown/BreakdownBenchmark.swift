// `bench breakdown`: where the server's processor time goes, in nanoseconds a message, by stages.
//
// The total is what the kernel has counted for the process; how it divides comes from samples (PerfSamples, Stage). Anybody can
// repeat it where `perf` is installed; where it is not, the total alone is shown.

import LineProtocol
import Platform

enum BreakdownBenchmark {
  static let command = Command(
    name: "breakdown", summary: "where the server's processor time goes, in nanoseconds a message",
    options: [
      Option("messages", 1_000_000, "messages of each part"),
      Option("window", 4096, "requests without reply"),
      Option("body-bytes", 128, "size of a body"),
      Option("functions", 12, "functions to name in each part"),
    ] + Option.ofServers, run: run)

  private static func run(_ flags: Flags) -> Report {
    let count = max(1, flags.number("messages"))
    sayExpected(seconds: 10 + 3 * count / Load.usualMessagesPerSecond)
    var report = Report(
      flags, title: "Where the server's processor time goes",
      meaning:
        "Nanoseconds of processor time of all threads of the server a message, divided by samples of what they were doing."
    )
    let obstacle = PerfSamples.obstacle()
    if let obstacle { report.notes.append("Not divided into stages: \(obstacle).") }
    let text = RequestText(topic: "breakdown", bodyBytes: flags.number("body-bytes"))
    part("schedule", flags, isSampled: obstacle == nil, &report) { server in
      let farMs = SystemClock.wallNs() / 1_000_000 + 3_600_000
      let connection = LineConnection(server)
      Progress.begin("scheduling", of: count)
      return {
        _ = Load.answered(connection, count, window: max(1, flags.number("window"))) { number, acks, out in
          text.schedule(nil, atMs: farMs + Int64(number % 3_600_000), acks, to: &out)
        }
      }
    }
    part("release, deliver, acknowledge", flags, isSampled: obstacle == nil, &report) { server in
      // Due over a second or more, when all are loaded and the sampling has begun.
      let startMs = SystemClock.wallNs() / 1_000_000 + Int64(4000 + count / 80)
      let loader = LineConnection(server)
      Progress.begin("loading", of: count)
      Load.unanswered(loader, count) { number, acks, out in
        text.schedule(nil, atMs: startMs + Int64(number / 200), acks, to: &out)
      }
      if SystemClock.wallNs() / 1_000_000 > startMs { fail("loading took too long; take fewer messages") }
      let reader = GroupReader(server, text)
      return {
        Progress.begin("releasing", of: count)
        guard reader.receive(until: count) else { fail("messages stopped coming") }
      }
    }
    return report
  }

  /// Runs a part on a server of its own: `prepare` gives the work to be looked at.
  private static func part(
    _ name: String, _ flags: Flags, isSampled: Bool, _ report: inout Report, _ prepare: (ServerProcess) -> () -> Void
  ) {
    let count = Double(max(1, flags.number("messages")))
    let server = ServerProcess(flags)
    defer { server.stop() }
    let work = prepare(server)
    let cpuBefore = server.cpuNs
    var samples: PerfSamples?
    if isSampled { samples = PerfSamples(of: server.id, in: server.folder, while: work) } else { work() }
    let ns = Double(server.cpuNs - cpuBefore) / count
    report.add("\(name): all", ns, "ns")
    report.headlines.append(.init(name: name, value: ns, unit: "ns"))
    guard let samples, samples.total > 0 else { return }
    let eachNs = ns / Double(samples.total)
    var stages: [String: Int] = [:]
    for (place, number) in samples.counts { stages[Stage.name(of: place), default: 0] += number }
    let bars = Stage.order.compactMap { stage in
      stages[stage].map { Report.Comparison.Bar(name: stage, value: Double($0) * eachNs, isOurs: true) }
    }
    report.comparisons.append(
      .init(title: "\(name), nanoseconds a message", unit: "ns", isLowBetter: true, bars: bars))
    report.notes.append("\(name): \(Figures.spaced(samples.total)) samples.")
    nameFunctions(name, samples, eachNs, flags.number("functions"), &report)
  }

  private static func nameFunctions(
    _ name: String, _ samples: PerfSamples, _ eachNs: Double, _ limit: Int, _ report: inout Report
  ) {
    var functions: [String: Int] = [:]
    for (place, number) in samples.counts where !place.isKernel {
      functions["\(place.symbol) (\(Stage.name(of: place)))", default: 0] += number
    }
    let most = functions.sorted { ($0.value, $1.key) > ($1.value, $0.key) }.prefix(limit)
    let names = demangled(most.map(\.key))
    for (place, function) in most.enumerated() {
      report.add("\(name): \(names[place])", Double(function.value) * eachNs, "ns")
    }
  }

  /// Names as people write them, where the toolchain is there.
  private static func demangled(_ names: [String]) -> [String] {
    guard PeerProcess.find("swift-demangle") != nil, !names.isEmpty else { return names }
    // Names of C stay as they are.
    guard let place = names.firstIndex(where: { !$0.hasPrefix("$s") }) else { return demangledAll(names) }
    return demangled(Array(names[..<place])) + [names[place]] + demangled(Array(names[(place + 1)...]))
  }

  private static func demangledAll(_ names: [String]) -> [String] {
    let pieces = names.map { $0.split(separator: " ", maxSplits: 1).map(String.init) }
    let lines = ChildProcess.output(["swift-demangle", "--simplified", "--compact"] + pieces.map { $0[0] })
      .split(separator: "\n").map(String.init)
    guard lines.count == names.count else { return names }
    return zip(lines, pieces).map { "\($0) \($1.count > 1 ? $1[1] : "")" }
  }
}
