// `bench peers`: the same work asked of other programs that keep messages back until their time, in turns with ours.
//
// Holds: every round starts each program anew, in its own folder, one after the other; figures are medians of the rounds,
// distributions are of all rounds together. What is not installed is named and left out.
// Leaves to others: the work (PeerRun, QueuesBenchmark), how each program is spoken to (its file).

import Foundation

enum PeersBenchmark {
  static let command = Command(
    name: "peers", summary: "the same work with Redis, beanstalkd, NATS, RabbitMQ, PostgreSQL and a heap",
    options: [
      Option("rounds", 3, "how often each has its turn; medians are shown"),
      Option("messages", 100_000, "messages scheduled pipelined in a round"),
      Option("window", 4096, "of them without reply"),
      Option("single", 500, "messages scheduled one at a time in a round"),
      Option("rate", 1000, "messages falling due in a second, for the lateness"),
      Option("seconds", 5, "for so long"),
      Option("timers", 1_000_000, "timers of the heap and the wheel in memory"),
      Option("only", "", "only those with this in their name; Escapement always takes part"),
    ] + Option.ofServers, run: run)

  private static func run(_ flags: Flags) -> Report {
    var report = Report(
      flags, title: "Beside others that delay messages",
      meaning: """
        Messages of 128 bytes, one connection, on this machine in one run, taking turns; lateness counts from the due time until \
        the receiver has the message.
        """)
    let wanted = PeerKind.all.filter { $0.isOurs || flags.text("only").isEmpty || $0.name.contains(flags.text("only")) }
    let kinds = wanted.filter(\.isInstalled)
    for kind in wanted where !kind.isInstalled {
      report.notes.append(
        "\(kind.name) is left out: there is no \(kind.program ?? kind.name); `\(kind.package)` brings it.")
    }
    let rounds = max(1, flags.number("rounds"))
    sayExpected(seconds: rounds * kinds.count * (2 * flags.number("seconds") + flags.number("messages") / 20_000 + 8))
    var found = [[PeerFindings]](repeating: [], count: kinds.count)
    for round in 1...rounds {
      for (place, kind) in kinds.enumerated() {
        say("  round \(round) of \(rounds): \(kind.name)")
        found[place].append(turn(kind, flags))
      }
    }
    fill(&report, Array(zip(kinds, found)), rate: flags.number("rate"))
    fillQueues(&report, flags, rounds)
    GeneratorLimit.fill(&report, bodyBytes: PeerBody.bytes)
    return report
  }

  private static func turn(_ kind: PeerKind, _ flags: Flags) -> PeerFindings {
    let folder = Folder.make(in: flags.text("folder"))
    Progress.begin("\(kind.name): starting")
    let peer = kind.start(folder, flags)
    let findings = PeerRun.measure(peer, flags, kind.name)
    Progress.begin("\(kind.name): stopping")
    peer.stop()
    Progress.end()
    Folder.remove(folder)
    return findings
  }

  private static func fill(_ report: inout Report, _ found: [(kind: PeerKind, rounds: [PeerFindings])], rate: Int) {
    func compare(_ title: String, _ unit: String, isLowBetter: Bool, _ value: (PeerFindings) -> Double) {
      let bars = found.map { kind, rounds in
        Report.Comparison.Bar(name: kind.name, value: Figures.median(rounds.map(value)), isOurs: kind.isOurs)
      }
      report.comparisons.append(.init(title: title, unit: unit, isLowBetter: isLowBetter, bars: bars))
    }
    func time(_ histogram: LatencyHistogram, _ share: Double) -> Double {
      histogram.count == 0 ? 0 : Double(histogram.quantile(share))
    }
    let pace = "\(Figures.spaced(rate)) due a second"
    compare("Scheduled a second, pipelined", "/s", isLowBetter: false) { $0.perSecond }
    compare("Scheduled one at a time, median", "ns", isLowBetter: true) { time($0.single, 0.5) }
    compare("Late, median, \(pace)", "ns", isLowBetter: true) { time($0.lateness, 0.5) }
    compare("Late, 99 %, \(pace)", "ns", isLowBetter: true) { time($0.lateness, 0.99) }
    report.headlines = report.comparisons.compactMap { comparison in
      comparison.bars.first(where: \.isOurs).map {
        .init(name: "Escapement: \(comparison.title)", value: $0.value, unit: comparison.unit)
      }
    }
    for (kind, rounds) in found {
      var lateness = LatencyHistogram()
      var single = LatencyHistogram()
      for round in rounds {
        lateness.add(round.lateness)
        single.add(round.single)
      }
      report.add("\(kind.name), late", lateness)
      if let received = rounds.last?.received { report.add("\(kind.name), received", received) }
      report.notes.append("\(kind.name): \(kind.settings).")
      // What others do wrong is their figure; what ours does wrong is a fault of the run.
      if kind.isOurs { report.faults += rounds.flatMap(\.faults) } else { report.notes += rounds.flatMap(\.faults) }
    }
  }

  private static func fillQueues(_ report: inout Report, _ flags: Flags, _ rounds: Int) {
    let kinds: [(name: String, isOurs: Bool, core: () -> any DelayQueueCore)] = [
      ("timing wheel", true, { WheelCore() }), ("binary heap", false, { HeapCore() }),
    ]
    var found = [[QueuesBenchmark.Findings]](repeating: [], count: kinds.count)
    Progress.begin("in memory: heap and wheel")
    for round in 1...rounds {
      for (place, kind) in kinds.enumerated() {
        found[place].append(QueuesBenchmark.measure(kind.core, flags, seed: UInt64(round)))
      }
    }
    Progress.end()
    let timers = Figures.spaced(flags.number("timers"))
    for (title, value) in [
      ("In memory, \(timers) timers: insert", { (findings: QueuesBenchmark.Findings) in findings.insertNs }),
      ("In memory, \(timers) timers: take when due", { $0.takeNs }),
    ] {
      let bars = kinds.enumerated().map { place, kind in
        Report.Comparison.Bar(name: kind.name, value: Figures.median(found[place].map(value)), isOurs: kind.isOurs)
      }
      report.comparisons.append(.init(title: title, unit: "ns", isLowBetter: true, bars: bars))
    }
    for (place, kind) in kinds.enumerated() {
      var lateness = LatencyHistogram()
      for findings in found[place] { lateness.add(findings.lateness) }
      report.add("\(kind.name) in memory, late", lateness)
    }
    report.notes.append(
      "In memory: one mutex and condition around each; processor time of the thread; nothing is kept on disk.")
  }
}
