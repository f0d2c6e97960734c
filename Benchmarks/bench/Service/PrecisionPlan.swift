// Which messages fall due when, and when each came.
//
// Holds: message n is due `n * 1000 / rate` ms after the start; a message that came early, twice, wrong or not at all is a fault.

import Platform

final class PrecisionPlan {
  let count: Int
  let rate: Int
  let pending: Int
  private(set) var startMs: Int64 = 0
  private(set) var lateness = LatencyHistogram()
  private(set) var received = 0
  private var releases = RateSeries(startNs: 0)
  private var seen: [Bool]
  private var twice = 0
  private var wrong = 0

  init(_ flags: Flags) {
    rate = max(1, flags.number("rate"))
    count = rate * max(1, flags.number("seconds"))
    pending = flags.number("pending")
    seen = [Bool](repeating: false, count: count)
  }

  /// How many are pending beside those that are measured.
  var others: Int { max(0, pending - count) }

  /// Lays down the due times. The messages are loaded next, at most half a second for 100 000, and fall due when all are there.
  func begin() -> Int64 {
    startMs = SystemClock.wallNs() / 1_000_000 + 1000 + Int64(count / 50)
    releases = RateSeries(startNs: startMs * 1_000_000)
    return startMs
  }

  func dueMs(_ number: Int) -> Int64 { startMs + Int64(number * 1000 / rate) }

  /// Message `id` came at `atNs`.
  func note(_ id: Int, dueMs: Int, atNs: Int64) {
    guard id >= 0, id < count, Int64(dueMs) == self.dueMs(id) else {
      wrong += 1
      return
    }
    if seen[id] { twice += 1 }
    seen[id] = true
    received += 1
    lateness.record(atNs - Int64(dueMs) * 1_000_000)
    releases.add(1, atNs: atNs)
  }

  func fill(_ report: inout Report, cpuNs: Int64) {
    report.add("lateness", lateness)
    report.add("received", releases)
    report.add("processor time a message", cpuNs / Int64(max(1, received)), "ns")
    let missing = seen.filter { !$0 }.count
    report.check(lateness.early == 0, "\(lateness.early) came early")
    report.check(twice == 0, "\(twice) came twice")
    report.check(wrong == 0, "\(wrong) were not those that were sent")
    report.check(missing == 0, "\(missing) did not come")
  }
}
