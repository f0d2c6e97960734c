// Figures as people read them.

import Foundation

/// Prints a line at once, also into a file or a pipe.
func say(_ line: String) {
  Progress.clearLine()
  print(line)
  fflush(nil)
}

/// Says at the beginning how long the whole will take.
func sayExpected(seconds: Int) { say("about \(max(1, seconds)) s on a quiet machine with two processors") }

enum Figures {
  /// `value` with `places` decimals.
  static func decimal(_ value: Double, places: Int = 2) -> String { String(format: "%.\(places)f", value) }

  /// A time in the unit that leaves one to three digits before the point: `850 ns`, `1.23 ms`, `12.3 s`.
  static func time(ns: Double) -> String {
    for (unit, scale) in [("ns", 1.0), ("µs", 1e3), ("ms", 1e6)] where abs(ns) < 999.5 * scale {
      return significant(ns / scale) + " " + unit
    }
    return significant(ns / 1e9) + " s"
  }

  static func time(ns: Int64) -> String { time(ns: Double(ns)) }

  /// Three digits that mean something, and groups of three before the point.
  static func significant(_ value: Double) -> String {
    let size = abs(value)
    if value == value.rounded(), size < 1e15 { return spaced(Int(value)) }
    if size >= 99.95 { return spaced(Int(value.rounded())) }
    return decimal(value, places: size >= 9.995 ? 1 : size >= 0.01 ? 2 : 4)
  }

  /// 1 000 000
  static func spaced(_ number: Int) -> String {
    let digits = Array(String(abs(number)))
    var text = number < 0 ? "-" : ""
    for (place, digit) in digits.enumerated() {
      if place > 0, (digits.count - place) % 3 == 0 { text.append("\u{202F}") }
      text.append(digit)
    }
    return text
  }

  /// A number with its unit; times and bytes in the unit that fits.
  static func text(_ value: Double, _ unit: String) -> String {
    switch unit {
    case "ns": return time(ns: value)
    case "B" where value >= 1_048_576: return significant(value / 1_048_576) + " MiB"
    case "B" where value >= 1024: return significant(value / 1024) + " KiB"
    default: return unit.isEmpty ? significant(value) : "\(significant(value)) \(unit)"
    }
  }

  /// Events a second.
  static func rate(_ count: Int, ns: Int64) -> Double { ns <= 0 ? 0 : (Double(count) * 1e9 / Double(ns)).rounded() }

  static func median(_ values: [Double]) -> Double {
    let sorted = values.sorted()
    return sorted.isEmpty ? 0 : (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
  }
}
