// `bench figures`: every figure of docs/performance.md, measured in one run, written into the page; and the picture of the README.
//
// Holds: of the page only what stands between the two marks is replaced.

import Foundation

enum FiguresPage {
  static let command = Command(
    name: "figures", summary: "measures all that docs/performance.md says, and writes it there (half an hour)",
    options: [
      Option("page", "docs/performance.md", "the page whose marked section is replaced"),
      Option("picture", "docs/lateness.svg", "the picture of the first precision run"),
      Option("binary", "", "the server; empty: beside this program"),
      .onOff("quick", "small sizes, to see what the page will look like; no figure counts"),
    ], run: run)

  private static let begin = "<!-- begin: made by `bench figures` -->"
  private static let end = "<!-- end: made by `bench figures` -->"

  /// One run of a command, and what makes it small.
  private static let runs: [(call: [String], quick: [String])] = [
    (["limit"], ["--requests", "50000", "--syncs", "100", "--wakes", "100"]),
    (["precision", "--feed", "0"], ["--pending", "10000", "--rate", "1000", "--seconds", "3"]),
    (["precision"], ["--pending", "10000", "--rate", "1000", "--seconds", "3"]),
    (["precision", "--in-process"], ["--pending", "10000", "--rate", "1000", "--seconds", "3"]),
    (
      ["precision", "--pending", "1000000", "--rate", "20000"],
      ["--pending", "20000", "--rate", "2000", "--seconds", "3"]
    ),
    (["precision", "--stall", "300", "--feed", "2"], ["--pending", "10000", "--rate", "1000", "--seconds", "3"]),
    (["throughput", "--connections", "1"], ["--messages", "20000", "--single", "50"]),
    (
      ["throughput", "--part", "schedule", "--connections", "1", "--pending", "20000000"],
      ["--messages", "20000", "--pending", "20000"]
    ),
    (["burst"], ["--messages", "5000", "--rounds", "2"]),
    (["burst", "--messages", "1000000", "--rounds", "3"], ["--messages", "10000", "--rounds", "2"]),
    (["wheel"], ["--timers", "100000", "--rounds", "1"]),
    (["memory"], ["--messages", "20000"]),
    (
      ["amqp"],
      ["--messages", "4000", "--peer-messages", "4000", "--rounds", "1", "--rate", "500", "--peer-rate", "500"]
        + ["--seconds", "1", "--pending", "2000", "--connections", "50"]
    ),
    (["breakdown"], ["--messages", "100000"]),
    (["peers"], ["--messages", "2000", "--single", "20", "--rate", "200", "--seconds", "2", "--rounds", "1"]),
  ]

  private static func run(_ flags: Flags) -> Report {
    var report = Report(
      flags, title: "The figures of the page", meaning: "Every command at the size that the page quotes.")
    let page = flags.text("page")
    guard let before = try? String(contentsOfFile: page, encoding: .utf8), let first = before.range(of: begin),
      let last = before.range(of: end), first.upperBound <= last.lowerBound
    else { fail("\(page) is not there, or has no section between '\(begin)' and '\(end)'") }
    var sections = [
      "Measured \(report.machine.date) on \(report.machine.text)."
        + (flags.has("quick") ? " **Small sizes: no figure counts.**" : "")
    ]
    for (number, one) in runs.enumerated() {
      let arguments = one.call + (flags.has("quick") ? one.quick : [])
      let found = run(arguments, flags)
      sections.append(found.markdown(call: "bench \(arguments.joined(separator: " "))"))
      if number == 1 { write(found.picture, to: flags.text("picture")) }
      report.faults += found.faults.map { "\(arguments.joined(separator: " ")): \($0)" }
      // After each: a run that breaks off has not measured for nothing.
      let text = "\n" + sections.joined(separator: "\n\n")
      write(String(before[..<first.upperBound]) + text + "\n" + before[last.lowerBound...], to: page)
    }
    report.add("commands run", runs.count, "")
    return report
  }

  private static func run(_ words: [String], _ flags: Flags) -> Report {
    guard let command = Command.all.first(where: { $0.name == words[0] }) else {
      fail("there is no command \(words[0])")
    }
    say("\n== bench \(words.joined(separator: " "))")
    let takesBinary = command.options.contains { $0.name == "binary" } && !flags.text("binary").isEmpty
    let found = command.run(
      Flags(command, Array(words.dropFirst()) + (takesBinary ? ["--binary", flags.text("binary")] : [])))
    Progress.end()
    say(found.text)
    return found
  }

  private static func write(_ text: String, to path: String) {
    do { try text.write(toFile: path, atomically: true, encoding: .utf8) } catch {
      fail("cannot write \(path): \(error.localizedDescription)")
    }
  }
}
