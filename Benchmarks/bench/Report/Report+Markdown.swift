// A report as a section of a page.

extension Report {
  /// Heading, what was done, tables. `call` is what was typed.
  func markdown(call: String) -> String {
    var parts = ["### \(title)", "`\(call)`. \(meaning)"]
    if !latencies.isEmpty {
      parts.append(Self.table([""] + Self.latencyColumns, latencies.map { [$0.name] + Self.row($0.histogram) }))
    }
    for comparison in comparisons {
      let ratios = comparison.bars.map(comparison.ratio)
      let hasRatios = ratios.contains { !$0.isEmpty }
      let rows = zip(comparison.bars, ratios).map { bar, ratio in
        [bar.name, Figures.text(bar.value, comparison.unit)] + (hasRatios ? [ratio] : [])
      }
      parts.append(Self.table([comparison.title, ""] + (hasRatios ? ["ours is better by"] : []), rows))
    }
    if !figures.isEmpty {
      parts.append(Self.table(["figure", ""], figures.map { [$0.name, Figures.text($0.value, $0.unit)] }))
    }
    let remarks = notes + faults.map { "**Fault:** \($0)" }
    if !remarks.isEmpty { parts.append(remarks.map { "- \($0)" }.joined(separator: "\n")) }
    return parts.joined(separator: "\n\n") + "\n"
  }

  private static func table(_ head: [String], _ rows: [[String]]) -> String {
    let line = { (cells: [String]) in
      "| \(cells.map { $0.replacing("\u{202F}", with: " ").replacing("|", with: "\\|") }.joined(separator: " | ")) |"
    }
    let rule = "|---|" + String(repeating: "---:|", count: head.count - 1)
    return ([line(head), rule] + rows.map(line)).joined(separator: "\n")
  }
}
