// How large the times are, on a log scale: the line climbs from the median to the slowest of all, each step to the right being
// ten times as rare.
//
// Holds: both axes are logarithmic, so a stall of a thousandth of the messages is as plain to see as the median.

import Foundation

struct LatencyChart {
  private static let size = (width: 860.0, height: 330.0)
  private static let plot = (left: 76.0, right: 836.0, top: 52.0, bottom: 286.0)

  private let latencies: [Report.Latency]
  private let decades: ClosedRange<Int>
  private let nines: Double

  init?(_ latencies: [Report.Latency]) {
    let shown = Array(latencies.filter { $0.histogram.count > 1 }.prefix(Style.colours))
    guard !shown.isEmpty else { return nil }
    self.latencies = shown
    // Nothing here is faster than a microsecond, but some peers are early: that is drawn at the bottom.
    let lowest = shown.map { max(1000, $0.histogram.quantile(0.01)) }.min() ?? 1000
    let highest = shown.map { max(10_000, $0.histogram.max) }.max() ?? 10_000
    let low = Int(log10(Double(lowest)).rounded(.down))
    decades = low...max(low + 1, Int(log10(Double(highest)).rounded(.up)))
    nines = max(2, log10(Double(shown.map(\.histogram.count).max() ?? 1)))
  }

  func draw() -> Drawing {
    var drawing = Drawing(width: Self.size.width, height: Self.size.height)
    drawAxes(&drawing)
    for (number, latency) in latencies.enumerated() {
      drawing.path(points(latency.histogram), "s\(number)")
    }
    drawing.key(latencies.map(\.name), from: Self.plot.left, to: Self.plot.right)
    // Beside many lines the words would hide more than they say.
    if latencies.count <= 2 { drawMarks(&drawing, latencies[0].histogram) }
    return drawing
  }

  private func drawAxes(_ drawing: inout Drawing) {
    for decade in decades {
      let y = y(pow(10, Double(decade)))
      drawing.line(Self.plot.left, y, Self.plot.right, y, "grid")
      drawing.text(Self.plot.left - 8, y + 4, Figures.time(ns: pow(10, Double(decade))), "label", .end)
    }
    for (share, name) in Self.shares where rarity(share) <= nines {
      let x = x(share)
      drawing.line(x, Self.plot.top, x, Self.plot.bottom, "grid")
      drawing.text(x, Self.plot.bottom + 18, name, "label", .middle)
    }
    drawing.text(Self.plot.right, Self.plot.bottom + 36, "share of all that were no slower", "label", .end)
  }

  private static let shares = [
    (0.0, "0"), (0.5, "50 %"), (0.9, "90 %"), (0.99, "99 %"), (0.999, "99.9 %"), (0.9999, "99.99 %"),
    (0.99999, "99.999 %"), (0.999999, "99.9999 %"),
  ]

  private func drawMarks(_ drawing: inout Drawing, _ histogram: LatencyHistogram) {
    for (share, name) in [(0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")]
    where rarity(share) <= log10(Double(histogram.count)) {
      let value = histogram.quantile(share)
      let (x, y) = (x(share), y(Double(value)))
      drawing.dot(x, y, "d0")
      let isLeft = x < Self.plot.left + 140
      drawing.text(
        x + (isLeft ? 4 : -6), y - 10, "\(name)  \(Figures.time(ns: value))", "value", isLeft ? .start : .end)
    }
  }

  private func points(_ histogram: LatencyHistogram) -> [(x: Double, y: Double)] {
    var points: [(x: Double, y: Double)] = []
    var below = 0
    for (bound, count) in histogram.buckets {
      let y = y(Double(min(bound, histogram.max)))
      points.append((x(Double(below) / Double(histogram.count)), y))
      below += count
      // The last one of all stands at its own rank, not at infinity.
      points.append((x(min(Double(below), Double(histogram.count) - 1) / Double(histogram.count)), y))
    }
    return points
  }

  private func rarity(_ share: Double) -> Double { -log10(1 - share) }

  private func x(_ share: Double) -> Double {
    Self.plot.left + (Self.plot.right - Self.plot.left) * min(1, rarity(share) / nines)
  }

  private func y(_ ns: Double) -> Double {
    let place = (log10(max(1, ns)) - Double(decades.lowerBound)) / Double(decades.count - 1)
    return Self.plot.bottom - (Self.plot.bottom - Self.plot.top) * min(1, max(0, place))
  }
}
