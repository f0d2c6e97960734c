// A report for the terminal.

extension Report {
  static let latencyColumns = ["count", "min", "p50", "p90", "p99", "p99.9", "max", "early"]

  /// The row of a distribution, in the order of `latencyColumns`.
  static func row(_ histogram: LatencyHistogram) -> [String] {
    [Figures.spaced(histogram.count), Figures.time(ns: histogram.min)]
      + [0.5, 0.9, 0.99, 0.999].map { Figures.time(ns: histogram.quantile($0)) }
      + [Figures.time(ns: histogram.max), Figures.spaced(histogram.early)]
  }

  /// Everything that people at a terminal want to see.
  var text: String {
    var lines = ["", title, meaning, machine.text, settings.map { "\($0.name) \($0.value)" }.joined(separator: "  ")]
    if !latencies.isEmpty {
      lines.append("")
      lines += Self.aligned([[""] + Self.latencyColumns] + latencies.map { [$0.name] + Self.row($0.histogram) })
    }
    if !figures.isEmpty {
      lines.append("")
      lines += Self.aligned(figures.map { [$0.name, Figures.text($0.value, $0.unit)] })
    }
    for comparison in comparisons {
      lines += ["", "\(comparison.title) (\(comparison.isLowBetter ? "less" : "more") is better)"]
      lines += Self.aligned(
        comparison.bars.map {
          [$0.name, Figures.text($0.value, comparison.unit), comparison.ratio(of: $0)]
        })
    }
    if !notes.isEmpty { lines += [""] + notes.map { "  · \($0)" } }
    if !faults.isEmpty { lines += [""] + faults.map { "  FAULT: \($0)" } }
    return lines.joined(separator: "\n")
  }

  /// Rows as columns: the first to the left, the others to the right.
  private static func aligned(_ rows: [[String]]) -> [String] {
    let widths = (0..<(rows.map(\.count).max() ?? 0)).map { column in
      rows.map { $0.count > column ? $0[column].count : 0 }.max() ?? 0
    }
    return rows.map { row in
      row.enumerated().map { column, cell in
        let space = String(repeating: " ", count: widths[column] - cell.count)
        return column == 0 ? "  \(cell)\(space)" : "  \(space)\(cell)"
      }.joined()
    }
  }
}

extension Report.Comparison {
  /// How many times better ours is than a bar of others: `3.10 ×`; empty for ours, or when there is nothing to compare.
  func ratio(of bar: Bar) -> String {
    guard !bar.isOurs, let ours = bars.first(where: \.isOurs), bar.value > 0, ours.value > 0 else { return "" }
    return Figures.significant(isLowBetter ? bar.value / ours.value : ours.value / bar.value) + " ×"
  }
}
