// topics, stats, top, wheel: tables for people, `--json` for machines.

import EscapementClient
import Foundation

extension Command {
  private static let json = Option.flag("json", "one line of JSON instead of a table")

  static let topics = Command(
    name: "topics", summary: "Show topics and groups.", options: [json] + connectionOptions
  ) { options in
    try await Session.run(options) { client in
      let topics = try await client.topics()
      Output.line(options.has("json") ? try Output.json(topics) : Tables.topics(topics))
      return 0
    }
  }

  static let stats = Command(
    name: "stats", summary: "Show the server's counters and gauges.", options: [json] + connectionOptions
  ) { options in
    try await Session.run(options) { client in
      let stats = try await client.stats()
      Output.line(options.has("json") ? String(decoding: stats.json, as: UTF8.self) : Tables.stats(stats))
      return 0
    }
  }

  static let top = Command(
    name: "top", summary: "Show topics and counters, fresh every second, until interrupted.",
    options: connectionOptions
  ) { options in
    try await Session.run(options, reconnect: ReconnectBackoff(maxMs: 1_000)) { client in
      do {
        try await Interruption.cancelling {
          var last: ServerStats?
          while true {
            let (topics, stats) = (try await client.topics(), try await client.stats())
            // Home and clear: the screen is redrawn whole, so nothing of the last one stays.
            Output.line("\u{1B}[H\u{1B}[2J\(Tables.topics(topics))\n\n\(Tables.stats(stats, since: last))")
            last = stats
            try await Task.sleep(for: .seconds(1))
          }
        }
      } catch is CancellationError {}
      return 0
    }
  }

  static let wheel = Command(
    name: "wheel", summary: "Show the timing wheels and what lies in their slots.", options: [json] + connectionOptions
  ) { options in
    try await Session.run(options) { client in
      let wheel = try await client.wheel()
      Output.line(options.has("json") ? try Output.json(wheel) : Tables.wheel(wheel))
      return 0
    }
  }
}

enum Tables {
  // Wheels have more slots than a terminal has columns; neighbours share a column.
  private static let barColumns: Int64 = 64

  static func topics(_ topics: [TopicInfo]) -> String {
    if topics.isEmpty { return "no topics" }
    let header = [
      "topic / group", "pending", "released", "kept from", "bytes", "committed", "lag", "in flight", "members",
    ]
    let rows = topics.flatMap { topic in
      [
        [
          topic.topic, "\(topic.pending)", "\(topic.nextOffset)", "\(topic.firstOffset)", "\(topic.bytes)", "", "", "",
          "",
        ]
      ]
        + topic.groups.map { group in
          [
            "  \(group.group)", "", "", "", "", "\(group.committed)", "\(group.lag)", "\(group.inFlight)",
            "\(group.members)",
          ]
        }
    }
    return Output.table(header, rows)
  }

  /// With `since`, one more column: the change from then on.
  static func stats(_ stats: ServerStats, since last: ServerStats? = nil) -> String {
    guard let last else { return Output.table(["name", "value"], stats.entries.map { [$0.name, $0.text] }) }
    let rows = stats.entries.map { entry in
      let change = entry.value - (last[entry.name] ?? entry.value)
      return [entry.name, entry.text, change == 0 ? "" : (change > 0 ? "+" : "") + String(format: "%g", change)]
    }
    return Output.table(["name", "value", "change"], rows)
  }

  static func wheel(_ wheel: WheelInfo) -> String {
    let head = "time \(TimeText.time(ms: wheel.nowMs)), \(wheel.wheelSize) slots a wheel, finest \(wheel.tickMs) ms"
    let rows = wheel.levels.map { level in
      [
        "wheel \(level.level)", TimeText.duration(ms: level.tickMs), TimeText.duration(ms: level.intervalMs),
        "\(level.pending)", "|\(bar(level, slots: wheel.wheelSize))|",
      ]
    }
    let table = Output.table(["", "slot", "turn", "pending", "slots".padded(to: Int(barColumns) + 2)], rows)
    return "\(head)\n\(table)\non disk, for later: \(wheel.onDisk)"
  }

  private static func bar(_ level: WheelInfo.Level, slots: Int64) -> String {
    let columns = max(1, min(barColumns, slots))
    var counts = [Int64](repeating: 0, count: Int(columns))
    for pair in level.slots where pair.count == 2 && (0..<max(1, slots)).contains(pair[0]) {
      counts[Int(pair[0] * columns / max(1, slots))] &+= max(0, pair[1])
    }
    let most = max(1, counts.max() ?? 1)
    let shades = Array("▁▂▃▄▅▆▇█")
    return String(counts.map { $0 == 0 ? " " : shades[Int(Double($0) / Double(most) * Double(shades.count - 1))] })
      .padded(to: Int(barColumns))
  }
}
