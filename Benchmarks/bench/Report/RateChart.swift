// How many a second, over time: a stall is a hole in the line.

struct RateChart {
  private static let size = (width: 860.0, height: 250.0)
  private static let plot = (left: 76.0, right: 836.0, top: 52.0, bottom: 206.0)

  private let rates: [Report.Rate]
  private let peak: Double
  private let seconds: Double

  init?(_ rates: [Report.Rate]) {
    let shown = Array(rates.filter { $0.series.perSecond.count > 1 }.prefix(Style.colours))
    guard !shown.isEmpty else { return nil }
    self.rates = shown
    peak = Self.roundedUp(shown.flatMap(\.series.perSecond).max() ?? 1)
    seconds = shown.map { Double($0.series.perSecond.count * $0.series.intervalMs) / 1000 }.max() ?? 1
  }

  func draw() -> Drawing {
    var drawing = Drawing(width: Self.size.width, height: Self.size.height)
    for step in 0...4 {
      let value = peak * Double(step) / 4
      drawing.line(Self.plot.left, y(value), Self.plot.right, y(value), "grid")
      drawing.text(Self.plot.left - 8, y(value) + 4, Figures.significant(value), "label", .end)
      let second = seconds * Double(step) / 4
      drawing.text(x(second), Self.plot.bottom + 18, Figures.significant(second) + " s", "label", .middle)
    }
    for (number, rate) in rates.enumerated() {
      let points = points(rate.series)
      if rates.count == 1, let last = points.last {
        drawing.path([(points[0].x, Self.plot.bottom)] + points + [(last.x, Self.plot.bottom)], "area")
      }
      drawing.path(points, "s\(number)")
    }
    drawing.key(rates.map { "\($0.name), a second" }, from: Self.plot.left, to: Self.plot.right)
    return drawing
  }

  private func points(_ series: RateSeries) -> [(x: Double, y: Double)] {
    series.perSecond.enumerated().map { place, value in
      (x((Double(place) + 0.5) * Double(series.intervalMs) / 1000), y(value))
    }
  }

  private func x(_ second: Double) -> Double {
    Self.plot.left + (Self.plot.right - Self.plot.left) * min(1, second / seconds)
  }

  private func y(_ value: Double) -> Double {
    Self.plot.bottom - (Self.plot.bottom - Self.plot.top) * min(1, value / peak)
  }

  /// 1, 2, 4 or 8 times a power of ten: a quarter of it is a number that reads well.
  private static func roundedUp(_ value: Double) -> Double {
    var power = 1.0
    while true {
      for digit in [1.0, 2, 4, 8] where digit * power >= value { return digit * power }
      power *= 10
    }
  }
}
