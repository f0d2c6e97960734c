// The same number of several competitors as bars, ours in its own colour. Where the largest is more than fifty times the smallest,
// the bars are logarithmic, and the chart says so; parts of ours alone are never, since they are to be added up by eye.

import Foundation

struct BarChart {
  private static let left = 288.0
  private static let right = 744.0
  private static let rowHeight = 27.0

  let comparison: Report.Comparison
  func draw() -> Drawing {
    let bars = comparison.bars
    var drawing = Drawing(width: 860, height: 34 + Self.rowHeight * Double(bars.count))
    let positive = bars.map(\.value).filter { $0 > 0 }
    let (low, high) = (positive.min() ?? 1, positive.max() ?? 1)
    let isOursAlone = bars.allSatisfy(\.isOurs)
    let isLogarithmic = !isOursAlone && high / low > 50
    drawing.text(0, 14, comparison.title, "heading")
    let better =
      (isOursAlone ? "" : "× = how many times better ours is; ")
      + (comparison.isLowBetter ? "shorter is better" : "longer is better")
    drawing.text(860, 14, isLogarithmic ? "\(better), log scale" : better, "label", .end)
    for (place, bar) in bars.enumerated() {
      let y = 28 + Self.rowHeight * Double(place)
      let share = isLogarithmic ? log10(max(low, bar.value) / low * 2) / log10(high / low * 2) : bar.value / high
      let width = max(2, (Self.right - Self.left) * share)
      drawing.text(Self.left - 12, y + 14, bar.name, "name", .end)
      drawing.bar(Self.left, y, width, 19, bar.isOurs ? "ours" : "others")
      let value = Figures.text(bar.value, comparison.unit)
      drawing.text(Self.left + width + 8, y + 14, value, "value")
      // How many times better ours is stands at the left, before the name.
      drawing.text(0, y + 14, comparison.ratio(of: bar), "label")
    }
    return drawing
  }
}
