// The table of commands.

/// Something that can be measured.
struct Command: Sendable {
  let name: String
  let summary: String
  let options: [Option]
  let run: @Sendable (Flags) -> Report

  static let all = [
    WheelBenchmark.command, JSONBenchmark.command, PrecisionBenchmark.command, ThroughputBenchmark.command,
    BurstBenchmark.command, IdleBenchmark.command, MemoryBenchmark.command, HeadOfLineBenchmark.command,
    ExpiryBenchmark.command, RemotingBenchmark.command, AMQPBenchmark.command, ConnectionsBenchmark.command,
    LimitBenchmark.command, ClusterBenchmark.command, PeersBenchmark.command, BreakdownBenchmark.command, Smoke.command,
    FiguresPage.command,
  ]

  var help: String {
    var lines = ["bench \(name) [flags]", "", "  \(summary)", ""]
    let all = options + Option.ofReports
    let width = all.map { $0.name.count }.max() ?? 0
    for option in all {
      let space = String(repeating: " ", count: width - option.name.count + 2)
      lines.append(
        "  --\(option.name)\(space)\(option.meaning)\(option.standard.isEmpty ? "" : " (\(option.standard))")")
    }
    return lines.joined(separator: "\n")
  }

  static var overview: String {
    var lines = ["usage: bench COMMAND [flags]   (bench COMMAND --help explains the flags)", ""]
    let width = all.map { $0.name.count }.max() ?? 0
    for command in all {
      lines.append(
        "  \(command.name)\(String(repeating: " ", count: width - command.name.count + 2))\(command.summary)")
    }
    return lines.joined(separator: "\n")
  }
}
