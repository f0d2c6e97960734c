// What `top` shows, as lines of text: from two looks at the server, a second or so apart.

import EscapementClient
import Foundation

struct TopScreen {
  private static let barColumns = 48
  private static let dialColumns = 36
  /// Rows of each table.
  private static let rowsMax = 20

  private let now: ServerOverview
  private let last: ServerOverview?

  init(_ now: ServerOverview, since last: ServerOverview? = nil) {
    self.now = now
    self.last = last
  }

  /// The lines.
  ///
  /// - Parameter withDial: whether the wheels are drawn as a dial, too.
  func lines(withDial: Bool) -> [String] {
    var lines: [String] = []
    if let inside = now.inside {
      let facts = head(inside) + [""] + wheels(Ring.all(inside, nowMs: now.nowMs))
      lines += withDial ? Self.beside(Dial(rings(inside), columns: Self.dialColumns).lines, facts) : facts
    } else {
      lines += [
        "\(now.server)  \(TimeText.time(ms: now.nowMs))",
        "the wheels are shown to those who have the right 'inspect:*'",
      ]
    }
    lines += [""] + Tables.topics(Array(now.topics.prefix(Self.rowsMax))).split(separator: "\n").map(String.init)
    if !now.queues.isEmpty { lines += [""] + table(Tables.queues(Array(now.queues.prefix(Self.rowsMax)))) }
    let delaying = now.exchanges.filter { $0.pending > 0 }
    if !delaying.isEmpty { lines += [""] + table(Tables.exchanges(Array(delaying.prefix(Self.rowsMax)))) }
    if now.hasMore || now.topics.count > Self.rowsMax || now.queues.count > Self.rowsMax {
      lines += ["", "there are more: see 'escapement topics', 'queues' and 'exchanges'"]
    }
    return lines
  }

  private func table(_ text: String) -> [String] { text.split(separator: "\n").map(String.init) }

  // A dial has room for so many rings; the outermost hold what is farthest away.
  private func rings(_ inside: ServerOverview.Inside) -> [Ring] {
    Array(Ring.all(inside, nowMs: now.nowMs).prefix(5))
  }

  // MARK: Numbers

  private func head(_ inside: ServerOverview.Inside) -> [String] {
    let stats = inside.stats
    func number(_ name: String) -> String { String(Int64(stats[name] ?? 0)) }
    let uptime = TimeText.duration(ms: Int64(stats["uptimeMs"] ?? 0))
    var lines = [
      "\(now.server)  up \(uptime)  \(TimeText.time(ms: now.nowMs))",
      "pending \(number("pending"))  on disk \(number("pendingOnDisk"))  due now \(number("dueNow"))  "
        + "in flight \(number("inFlight"))  connections \(number("connections"))",
    ]
    let rates = ["scheduled", "released", "published", "delivered", "acked", "cancelled"]
    lines.append("a second: " + rates.map { "\($0) \(rate($0, inside))" }.joined(separator: "  "))
    lines.append("late: " + lateness(inside))
    if stats["diskFull"] == 1 { lines.append("THE DISK IS NEARLY FULL: new messages are refused") }
    if stats["storageFailed"] == 1 { lines.append("THE STORE HAS FAILED: nothing is accepted until a restart") }
    return lines
  }

  private func rate(_ name: String, _ inside: ServerOverview.Inside) -> String {
    guard let last, let before = last.inside?.stats[name], let value = inside.stats[name], now.nowMs > last.nowMs
    else { return "-" }
    return String(Int64(((value - before) * 1000 / Double(now.nowMs - last.nowMs)).rounded()))
  }

  /// What half and what 99 % of the releases kept to: since the last look, or since the start.
  private func lateness(_ inside: ServerOverview.Inside) -> String {
    var counts = inside.latenessCounts
    if let before = last?.inside?.latenessCounts, before.count == counts.count {
      let since = zip(counts, before).map { $0 - $1 }
      if since.contains(where: { $0 > 0 }) { counts = since }
    }
    let sum = counts.reduce(0, +)
    guard sum > 0 else { return "nothing was released yet" }
    func bound(_ part: Double) -> String {
      var rest = Int64((Double(sum) * part).rounded(.up))
      for (count, boundMs) in zip(counts, inside.latenessBoundsMs) {
        rest -= count
        if rest <= 0 { return "\(TimeText.duration(ms: boundMs)) or less" }
      }
      return "more than \(TimeText.duration(ms: inside.latenessBoundsMs.last ?? 0))"
    }
    return "half \(bound(0.5)), 99 % \(bound(0.99))"
  }

  // MARK: Wheels

  /// Each wheel unrolled: at the left its hand, at the right a turn ahead.
  private func wheels(_ rings: [Ring]) -> [String] {
    let rows = rings.map { ring in
      [
        ring.name, TimeText.duration(ms: ring.slotMs), TimeText.duration(ms: ring.turnMs), "\(ring.pending)",
        "|\(Tables.bar(ring.ahead(columns: Self.barColumns)))|",
      ]
    }
    return table(
      Output.table(["", "slot", "turn", "pending", "now to one turn ahead".padded(to: Self.barColumns + 2)], rows))
  }

  private static func beside(_ left: [String], _ right: [String]) -> [String] {
    let width = left.map(\.count).max() ?? 0
    return (0..<max(left.count, right.count)).map { row in
      let start = row < left.count ? left[row] : String(repeating: " ", count: width)
      return start + "  " + (row < right.count ? right[row] : "")
    }
  }
}
