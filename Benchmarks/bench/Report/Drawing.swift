// A picture in SVG, put together piece by piece. Colours are classes (`Style`), so that one drawing serves light and dark.
//
// Holds: text is escaped; coordinates have one decimal.

struct Drawing {
  let width: Double
  let height: Double
  private(set) var content = ""

  enum Anchor: String { case start, middle, end }

  init(width: Double, height: Double) {
    self.width = width
    self.height = height
  }

  mutating func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ style: String) {
    content += "<line x1=\"\(at(x1))\" y1=\"\(at(y1))\" x2=\"\(at(x2))\" y2=\"\(at(y2))\" class=\"\(style)\"/>\n"
  }

  mutating func path(_ points: [(x: Double, y: Double)], _ style: String) {
    guard let first = points.first else { return }
    let rest = points.dropFirst().map { "L\(at($0.x)) \(at($0.y))" }.joined()
    content += "<path d=\"M\(at(first.x)) \(at(first.y))\(rest)\" class=\"\(style)\"/>\n"
  }

  mutating func bar(_ x: Double, _ y: Double, _ width: Double, _ height: Double, _ style: String) {
    content +=
      "<rect x=\"\(at(x))\" y=\"\(at(y))\" width=\"\(at(width))\" height=\"\(at(height))\" rx=\"3\" class=\"\(style)\"/>\n"
  }

  mutating func dot(_ x: Double, _ y: Double, _ style: String) {
    content += "<circle cx=\"\(at(x))\" cy=\"\(at(y))\" r=\"4\" class=\"\(style)\"/>\n"
  }

  mutating func text(_ x: Double, _ y: Double, _ text: String, _ style: String = "label", _ anchor: Anchor = .start) {
    content +=
      "<text x=\"\(at(x))\" y=\"\(at(y))\" class=\"\(style)\" text-anchor=\"\(anchor.rawValue)\">\(Self.escaped(text))</text>\n"
  }

  /// Which colour is which, in as many lines as it takes.
  mutating func key(_ names: [String], from left: Double, to right: Double) {
    var (x, y) = (left, 12.0)
    for (number, name) in names.enumerated() {
      // Letters of this size are about 6.3 wide.
      let width = 34 + 6.3 * Double(name.count)
      if x > left, x + width > right { (x, y) = (left, y + 16) }
      bar(x, y - 8, 14, 8, "d\(number)")
      text(x + 20, y, name, "label")
      x += width
    }
  }

  /// Draws `other` with its corner at (`x`, `y`).
  mutating func place(_ other: Drawing, _ x: Double, _ y: Double) {
    content += "<g transform=\"translate(\(at(x)) \(at(y)))\">\n\(other.content)</g>\n"
  }

  /// The picture inside of a page that has `Style`.
  func inPage(named name: String) -> String {
    "<svg viewBox=\"0 0 \(at(width)) \(at(height))\" role=\"img\" aria-label=\"\(Self.escaped(name))\">\n\(content)</svg>\n"
  }

  /// The picture as a file of its own.
  var file: String {
    """
    <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(at(width)) \(at(height))" width="\(at(width))" height="\(at(height))">
    <style>\(Style.variables)\(Style.ofDrawings)</style>
    <rect width="100%" height="100%" rx="10" class="paper"/>
    \(content)</svg>

    """
  }

  static func escaped(_ text: String) -> String {
    text.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;").replacing(
      "\"", with: "&quot;")
  }

  private func at(_ value: Double) -> String {
    let tenths = Int((value * 10).rounded())
    return tenths % 10 == 0 ? "\(tenths / 10)" : "\(tenths < 0 ? "-" : "")\(abs(tenths) / 10).\(abs(tenths) % 10)"
  }
}

/// Colours and type, for pages and pictures, light and dark.
enum Style {
  /// How many lines a chart can tell apart by colour.
  static let colours = 8

  private static let light = """
    --paper:#fbfaf7;--card:#ffffff;--ink:#1d1f24;--soft:#666b75;--grid:#e4e2dc;--ours:#c2410c;--others:#9aa3b2;\
    --c0:#c2410c;--c1:#2563eb;--c2:#0f8a6a;--c3:#8b5cf6;--c4:#b7860b;--c5:#0891b2;--c6:#be3a7a;--c7:#5b6472;
    """
  private static let dark = """
    --paper:#15171c;--card:#1d2027;--ink:#e9e8e4;--soft:#9aa0ac;--grid:#31353f;--ours:#fb923c;--others:#5d6675;\
    --c0:#fb923c;--c1:#6ea0ff;--c2:#3ecf9f;--c3:#b79cff;--c4:#e2b93b;--c5:#45c9e5;--c6:#f27db4;--c7:#a3acba;
    """

  static let variables = ":root{\(light)}@media (prefers-color-scheme:dark){:root{\(dark)}}"

  static let ofDrawings: String = {
    let lines = (0..<colours).map {
      ".s\($0){stroke:var(--c\($0));fill:none;stroke-width:2.2;stroke-linejoin:round}.d\($0){fill:var(--c\($0))}"
    }
    return """
      text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
      .paper{fill:var(--paper)}.title{fill:var(--ink);font-size:19px;font-weight:650}.heading{fill:var(--ink);font-size:15px;font-weight:600}
      .big{fill:var(--ink);font-size:25px;font-weight:650}.label{fill:var(--soft);font-size:12px}.name{fill:var(--ink);font-size:13px}
      .value{fill:var(--ink);font-size:13px;font-weight:600}.grid{stroke:var(--grid);stroke-width:1}.axis{stroke:var(--soft);stroke-width:1}
      .ours{fill:var(--ours)}.others{fill:var(--others)}.area{fill:var(--c0);opacity:.16}
      \(lines.joined())
      """
  }()
}
