// topics, queues, exchanges, stats, wheel: tables for people, `--json` for machines.

import EscapementClient
import Foundation

extension Command {
  private static let json = Option.flag("json", "one line of JSON instead of a table")

  static let topics = Command(
    name: "topics", summary: "Show topics and groups, those of a cluster from all shards.",
    options: [json] + connectionOptions
  ) { options in
    try await Session.run(options) { client in
      let topics = try await client.topics()
      Output.line(options.has("json") ? try Output.json(topics) : Tables.topics(topics))
      return 0
    }
  }

  static let queues = Command(
    name: "queues", summary: "Show the queues of the RabbitMQ front end, those of a cluster from all shards.",
    options: [json] + connectionOptions
  ) { options in
    try await Session.run(options) { client in
      let queues = try await client.queues()
      Output.line(options.has("json") ? try Output.json(queues) : Tables.queues(queues))
      return 0
    }
  }

  static let exchanges = Command(
    name: "exchanges", summary: "Show the exchanges of the RabbitMQ front end, those of a cluster from all shards.",
    options: [json] + connectionOptions
  ) { options in
    try await Session.run(options) { client in
      let exchanges = try await client.exchanges()
      Output.line(options.has("json") ? try Output.json(exchanges) : Tables.exchanges(exchanges))
      return 0
    }
  }

  static let stats = Command(
    name: "stats",
    summary: """
      Show the server's counters and gauges.
      Those of a cluster's shards are added up; of times, states and free space the worst is shown.
      """,
    options: [json, .value("shard", "N", "of this shard of a cluster alone")] + connectionOptions
  ) { options in
    let shard = try options.integer("shard", in: 0...63).map { Int($0) }
    return try await Session.run(options) { client in
      let stats = try await client.stats(shard: shard)
      Output.line(options.has("json") ? String(decoding: stats.json, as: UTF8.self) : Tables.stats(stats))
      return 0
    }
  }

  static let wheel = Command(
    name: "wheel",
    summary: """
      Show the timing wheels and what lies in their slots.
      Those of a cluster's shards are laid over each other.
      """,
    options: [json] + connectionOptions
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

  static func queues(_ queues: [QueueInfo]) -> String {
    if queues.isEmpty { return "no queues" }
    return Output.table(
      ["queue", "ready", "unacknowledged", "expiring", "consumers", "bytes", "durable"],
      queues.map {
        [
          Output.printable($0.queue), "\($0.messageCount)", "\($0.unacknowledged)", "\($0.expiring)",
          "\($0.consumerCount)",
          "\($0.bytesOnDisk)", $0.durable ? "yes" : "no",
        ]
      })
  }

  static func exchanges(_ exchanges: [ExchangeInfo]) -> String {
    if exchanges.isEmpty { return "no exchanges" }
    return Output.table(
      ["exchange", "type", "pending", "durable"],
      exchanges.map { [Output.printable($0.exchange), $0.type, "\($0.pending)", $0.durable ? "yes" : "no"] })
  }

  static func stats(_ stats: ServerStats) -> String {
    Output.table(["name", "value"], stats.entries.map { [$0.name, $0.text] })
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
    return bar(counts).padded(to: Int(barColumns))
  }

  /// A column for each number, as high as it is compared with the largest.
  static func bar(_ counts: [Int64]) -> String {
    let most = max(1, counts.max() ?? 1)
    let shades = Array("▁▂▃▄▅▆▇█")
    return String(counts.map { $0 == 0 ? " " : shades[Int(Double($0) / Double(most) * Double(shades.count - 1))] })
  }
}
