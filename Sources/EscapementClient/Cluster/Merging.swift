// What the shards of a cluster say of themselves, put together: sums, lists by name, wheels laid over each other.

import Foundation

extension ServerStats {
  // A sum of these would mean nothing: times, states, and what is about a whole machine.
  private static let largest: Set = [
    "nowMs", "uptimeMs", "diskFull", "memoryFull", "storageFailed", "journalLastSyncUs", "journalMaxSyncUs",
  ]
  private static let smallest: Set = ["freeDiskBytes"]

  /// The numbers of several shards as one; at least one shard.
  init(merging all: [ServerStats]) {
    guard all.count > 1, let first = all.first else {
      self = all[0]
      return
    }
    entries = first.entries.map { entry in
      let values = all.compactMap { $0[entry.name] }
      let value =
        if Self.largest.contains(entry.name) { values.max() ?? 0 } else if Self.smallest.contains(entry.name) {
          values.min() ?? 0
        } else { values.reduce(0, +) }
      return Entry(name: entry.name, value: value, text: Int64(exactly: value).map(String.init) ?? String(value))
    }
    let members = entries.map { JSONText.quoted($0.name) + Array(":\($0.text)".utf8) }
    json = Data([UInt8(ascii: "{")] + members.joined(separator: [UInt8(ascii: ",")]) + [UInt8(ascii: "}")])
  }
}

extension WheelInfo {
  /// The wheels of several shards as one; at least one shard. All nodes have wheels of one shape.
  init(merging all: [WheelInfo]) {
    nowMs = all.map(\.nowMs).max() ?? 0
    tickMs = all[0].tickMs
    wheelSize = all[0].wheelSize
    onDisk = all.reduce(0) { $0 &+ $1.onDisk }
    levels = Level.merged(all.map(\.levels))
  }
}

extension WheelInfo.Level {
  fileprivate init(_ first: WheelInfo.Level, pending: Int64, slots: [[Int64]]) {
    level = first.level
    tickMs = first.tickMs
    intervalMs = first.intervalMs
    self.pending = pending
    self.slots = slots
  }

  static func merged(_ all: [[WheelInfo.Level]]) -> [WheelInfo.Level] {
    Dictionary(grouping: all.joined(), by: \.level).sorted { $0.key < $1.key }.map { _, same in
      var counts: [Int64: Int64] = [:]
      for pair in same.flatMap(\.slots) where pair.count == 2 { counts[pair[0], default: 0] &+= pair[1] }
      return WheelInfo.Level(
        same[0], pending: same.reduce(0) { $0 &+ $1.pending },
        slots: counts.sorted { $0.key < $1.key }.map { [$0.key, $0.value] })
    }
  }
}

extension ServerOverview {
  /// The looks at several shards as one; at least one shard.
  ///
  /// - Parameter limit: how many topics, queues and exchanges to name at most.
  init(merging all: [ServerOverview], limit: Int) {
    let topics = all.flatMap(\.topics).sorted { $0.topic < $1.topic }
    let queues = all.flatMap(\.queues).sorted { $0.queue < $1.queue }
    let exchanges = all.flatMap(\.exchanges).sorted { $0.exchange < $1.exchange }
    server = all[0].server
    nowMs = all.map(\.nowMs).max() ?? 0
    let insides = all.compactMap(\.inside)
    inside = insides.isEmpty ? nil : Inside(merging: insides)
    hasMore = all.contains(where: \.hasMore) || [topics.count, queues.count, exchanges.count].contains { $0 > limit }
    self.topics = Array(topics.prefix(limit))
    self.queues = Array(queues.prefix(limit))
    self.exchanges = Array(exchanges.prefix(limit))
  }
}

extension ServerOverview.Inside {
  fileprivate init(merging all: [ServerOverview.Inside]) {
    stats = ServerStats(merging: all.map(\.stats))
    latenessBoundsMs = all[0].latenessBoundsMs
    latenessCounts = all.dropFirst().reduce(all[0].latenessCounts) { sums, next in
      zip(sums, next.latenessCounts).map { $0 &+ $1 }
    }
    sectors = all[0].sectors
    levels = WheelInfo.Level.merged(all.map(\.levels))
    demoted = all.reduce(0) { $0 &+ $1.demoted }
    slices = all.flatMap(\.slices).sorted { ($0.level, $0.startMs) < ($1.level, $1.startMs) }
  }
}
