// A report as one page that needs nothing else, and as a picture.

extension Report {
  /// The numbers that matter most, at the top: those that the command names; or of the first distribution, then of the figures.
  private var shownHeadlines: [(value: String, name: String)] {
    var shown = headlines
    if shown.isEmpty, let first = latencies.first {
      shown = [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")].map { share, name in
        Figure(name: "\(first.name), \(name)", value: Double(first.histogram.quantile(share)), unit: "ns")
      }
      shown += figures.prefix(1)
    }
    return (shown.isEmpty ? figures : shown).prefix(4).map { (Figures.text($0.value, $0.unit), $0.name) }
  }

  /// The page.
  var page: String {
    """
    <!doctype html>
    <html lang="en">
    <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width,initial-scale=1">
    <title>\(Drawing.escaped(title)) · Escapement</title>
    <style>\(Style.variables)\(Style.ofDrawings)\(Self.pageStyle)</style>
    </head>
    <body>
    <header><p class="brand">Escapement · bench \(Drawing.escaped(command))</p><h1>\(Drawing.escaped(title))</h1>
    <p>\(Drawing.escaped(meaning))</p></header>
    \(faults.map { "<p class=\"fault\">\(Drawing.escaped($0))</p>\n" }.joined())
    <div class="tiles">\(shownHeadlines.map { "<div><b>\(Drawing.escaped($0.value))</b><span>\(Drawing.escaped($0.name))</span></div>" }.joined())</div>
    \(charts)
    \(tables)
    <footer><p>\(Drawing.escaped(machine.text))</p><p>\(settings.map { "<code>--\(Drawing.escaped($0.name)) \(Drawing.escaped($0.value))</code>" }.joined(separator: " "))</p></footer>
    </body>
    </html>

    """
  }

  private var charts: String {
    var sections = comparisons.map { Self.section(nil, BarChart(comparison: $0).draw().inPage(named: $0.title)) }
    if let chart = LatencyChart(latencies)?.draw() {
      sections.append(
        Self.section("How it is distributed, up to the slowest of all", chart.inPage(named: "Distribution")))
    }
    if let chart = RateChart(rates)?.draw() {
      sections.append(Self.section("A second, over time", chart.inPage(named: "Rate over time")))
    }
    return sections.joined()
  }

  private var tables: String {
    var text = ""
    if !latencies.isEmpty {
      let rows = latencies.map { [$0.name] + Self.row($0.histogram) }
      text += Self.section("In numbers", Self.table([""] + Self.latencyColumns, rows))
    }
    for comparison in comparisons where !comparison.bars.allSatisfy(\.isOurs) {
      let rows = comparison.bars.map {
        [$0.name, Figures.text($0.value, comparison.unit), comparison.ratio(of: $0)]
      }
      text += Self.section(comparison.title, Self.table(["", "median", "ours is better by"], rows))
    }
    if !figures.isEmpty {
      text += Self.section("Figures", Self.table([], figures.map { [$0.name, Figures.text($0.value, $0.unit)] }))
    }
    if !notes.isEmpty {
      let items = notes.map { "<li>\(Drawing.escaped($0))</li>" }.joined()
      text += Self.section("To be known", "<ul>\(items)</ul>")
    }
    return text
  }

  private static func section(_ heading: String?, _ content: String) -> String {
    "<section>\(heading.map { "<h2>\(Drawing.escaped($0))</h2>" } ?? "")\(content)</section>\n"
  }

  private static func table(_ head: [String], _ rows: [[String]]) -> String {
    let heading = head.isEmpty ? "" : "<tr>\(head.map { "<th>\(Drawing.escaped($0))</th>" }.joined())</tr>"
    let body = rows.map { "<tr>\($0.map { "<td>\(Drawing.escaped($0))</td>" }.joined())</tr>" }.joined()
    return "<div class=\"scroll\"><table>\(heading)\(body)</table></div>"
  }

  private static let pageStyle = """

    :root{color-scheme:light dark}
    body{margin:0 auto;padding:36px 20px 60px;max-width:940px;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
    .brand{color:var(--ours);font-weight:600;margin:0}h1{font-size:30px;line-height:1.2;margin:4px 0 8px;letter-spacing:-.01em}
    header p{max-width:70ch;color:var(--soft)}h2{font-size:16px;margin:0 0 12px}svg{width:100%;height:auto;display:block}
    .tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(180px,1fr));gap:14px;margin:22px 0}
    .tiles div,section{background:var(--card);border:1px solid var(--grid);border-radius:12px;padding:18px 20px}
    .tiles b{display:block;font-size:27px;font-weight:650;letter-spacing:-.01em}.tiles span,footer{color:var(--soft);font-size:13px}
    section{margin:14px 0}.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
    td,th{text-align:right;padding:6px 10px;border-bottom:1px solid var(--grid);white-space:nowrap;font-weight:400}
    th{color:var(--soft);font-size:13px}td:first-child,th:first-child{text-align:left;white-space:normal}tr:last-child td{border-bottom:0}
    code{background:var(--card);border:1px solid var(--grid);border-radius:5px;padding:1px 6px;white-space:nowrap;font-size:12px}
    .fault{background:#b91c1c;color:#fff;border-radius:8px;padding:10px 16px}ul{margin:0;padding-left:20px}
    """

  /// One picture: the title, the numbers that matter most, and the first chart of each kind.
  var picture: String {
    var parts: [(drawing: Drawing, gap: Double)] = comparisons.prefix(3).map { (BarChart(comparison: $0).draw(), 22) }
    if let chart = LatencyChart(latencies)?.draw() { parts.append((chart, 16)) }
    if comparisons.isEmpty, let chart = RateChart(rates)?.draw() { parts.append((chart, 10)) }
    let height = parts.reduce(138) { $0 + $1.drawing.height + $1.gap } + 26
    var drawing = Drawing(width: 920, height: height)
    drawing.text(30, 42, title, "title")
    for (place, headline) in shownHeadlines.enumerated() {
      let x = 30 + 220 * Double(place)
      drawing.text(x, 88, headline.value, "big")
      drawing.text(x, 108, headline.name, "label")
    }
    var y = 138.0
    for part in parts {
      drawing.place(part.drawing, 30, y)
      y += part.drawing.height + part.gap
    }
    drawing.text(30, height - 14, "bench \(command) · \(machine.text)", "label")
    return drawing.file
  }
}
