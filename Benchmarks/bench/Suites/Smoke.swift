// `bench smoke`: every command once, tiny, for CI. What it shows is that each works and checks itself, not how fast anything is.

enum Smoke {
  static let command = Command(
    name: "smoke", summary: "every command once, tiny",
    options: [Option("binary", "", "the server; empty: beside this program")],
    run: run)

  /// One run of a command. A command that is not named here is a fault.
  private static let runs: [[String]] = [
    ["wheel", "--timers", "20000", "--rounds", "1"],
    ["json", "--lines", "2000", "--rounds", "1"],
    ["limit", "--requests", "20000", "--syncs", "10", "--wakes", "10"],
    ["precision", "--pending", "1000", "--rate", "500", "--seconds", "1"],
    ["precision", "--pending", "1000", "--rate", "500", "--seconds", "1", "--stall", "50", "--feed", "2"],
    ["precision", "--pending", "1000", "--rate", "500", "--seconds", "1", "--in-process"],
    ["throughput", "--messages", "4000", "--single", "20", "--release-rate", "20000"],
    ["burst", "--messages", "2000", "--rounds", "1"],
    ["idle", "--messages", "2000", "--seconds", "1"],
    ["memory", "--messages", "2000"],
    ["connections", "--connections", "100", "--groups", "10", "--seconds", "1"],
    ["headofline", "--messages", "200", "--longest-ms", "2000"],
    // Ends with a fault when one message is early, there twice or missing; a kill of the server is part of it.
    ["expiry", "--messages", "5000", "--from-ms", "12000", "--to-ms", "15000"],
    ["remoting", "--messages", "4000"],
    [
      "amqp", "--alone", "--messages", "4000", "--rounds", "1", "--rate", "500", "--ladder-rate", "50", "--seconds",
      "1",
      "--pending", "2000", "--connections", "50",
    ],
    [
      "peers", "--only", "Redis", "--messages", "500", "--single", "5", "--rate", "100", "--seconds", "1", "--rounds",
      "1",
    ],
    ["breakdown", "--messages", "20000"],
    [
      "cluster", "--shards", "2", "--messages", "2000", "--single", "5", "--rate", "200", "--peer-rate", "50",
      "--seconds", "1",
    ],
  ]

  private static func run(_ flags: Flags) -> Report {
    var report = Report(
      flags, title: "Every command once", meaning: "Tiny runs that show that the commands work; no figure counts.")
    for words in runs {
      guard let command = Command.all.first(where: { $0.name == words[0] }) else {
        fail("there is no command \(words[0])")
      }
      let takesBinary = command.options.contains { $0.name == "binary" } && !flags.text("binary").isEmpty
      let arguments = words.dropFirst() + (takesBinary ? ["--binary", flags.text("binary")] : [])
      say("\n== bench \(words.joined(separator: " "))")
      let found = command.run(Flags(command, Array(arguments)))
      Progress.end()
      say(found.text)
      report.check(
        !found.json.isEmpty && found.page.contains("</html>") && found.picture.contains("</svg>"),
        "\(words[0]) shows nothing")
      report.faults += found.faults.map { "\(words.joined(separator: " ")): \($0)" }
    }
    for command in Command.all where !["smoke", "figures"].contains(command.name) {
      report.check(runs.contains { $0[0] == command.name }, "\(command.name) has no tiny run")
    }
    report.add("commands run", runs.count, "")
    return report
  }
}
