// Figures as people read them: quantiles, rates, times and sizes, without Foundation.

import Glibc

/// Prints a line at once, also into a file or a pipe.
func say(_ line: String) {
  print(line)
  fflush(nil)
}

/// Says at the beginning how long the whole will take.
func sayExpected(seconds: Int) { say("about \(max(1, seconds)) s on a quiet machine with two processors") }

enum Figures {
  /// The value below which `share` of `sorted` lies.
  static func quantile(_ sorted: [Int64], _ share: Double) -> Int64 {
    precondition(!sorted.isEmpty, "quantiles need values")
    return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
  }

  /// `value` with `places` decimals.
  static func decimal(_ value: Double, places: Int = 2) -> String {
    var scale = 1
    for _ in 0..<places { scale *= 10 }
    let scaled = Int((value * Double(scale)).rounded())
    let fraction = String(abs(scaled) % scale)
    let zeros = String(repeating: "0", count: max(0, places - fraction.count))
    return "\(scaled < 0 ? "-" : "")\(abs(scaled) / scale).\(zeros)\(fraction)"
  }

  static func ms(ns: Int64) -> String { decimal(Double(ns) / 1e6) + " ms" }
  static func seconds(ns: Int64) -> String { decimal(Double(ns) / 1e9) + " s" }
  static func mebibytes(_ bytes: Int) -> String { decimal(Double(bytes) / 1_048_576, places: 1) + " MiB" }

  /// Events a second, whole.
  static func rate(_ count: Int, ns: Int64) -> Int { ns <= 0 ? 0 : Int(Double(count) * 1e9 / Double(ns)) }

  /// `p50 … p90 … p99 … p99.9 … max …` of nanoseconds.
  static func distribution(ns values: [Int64]) -> String {
    let sorted = values.sorted()
    return [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1)]
      .map { "\($0.0) \(ms(ns: quantile(sorted, $0.1)))" }.joined(separator: "  ")
  }

  /// The machine's load over the last minute: figures taken beside other work need it.
  static func machineLoad() -> String {
    var loads = [0.0]
    return getloadavg(&loads, 1) == 1 ? decimal(loads[0]) : "unknown"
  }
}
