// The metrics of a node: its own, and those of each shard that it leads, with the label `shard`.
//
// Holds: all samples of a family stand together, as the format wants it.
// Leaves to others: asking the shards (HTTPRelay).

import HTTPProtocol
import Primitives

/// Gathers the pages of several shards into one.
final class MetricsGathering {
  private var readers: [Int: HTTPResponseReader]
  private var waiting: Set<Int>
  private let own: [UInt8]
  /// The whole response of a shard that has refused: it refuses for all.
  private(set) var refused: [UInt8]?

  init(_ own: [UInt8], waitingFor shards: [Int]) {
    self.own = own
    waiting = Set(shards)
    readers = Dictionary(uniqueKeysWithValues: shards.map { ($0, HTTPResponseReader(isForHead: false)) })
  }

  var isComplete: Bool { waiting.isEmpty }

  func take(_ bytes: UnsafeRawBufferPointer, from shard: Int) {
    guard let reader = readers[shard], waiting.contains(shard), reader.take(bytes, keepsBody: true) else { return }
    waiting.remove(shard)
    if !reader.isOK { refused = reader.bytes }
  }

  /// The shard has gone; the others stay.
  func giveUp(_ shard: Int) {
    waiting.remove(shard)
    readers[shard] = nil
  }

  /// The page.
  var page: [UInt8] {
    var order: [Substring] = []
    var heads: [Substring: [Substring]] = [:]
    var samples: [Substring: [String]] = [:]
    for (shard, reader) in readers.sorted(by: { $0.key < $1.key }) {
      var family: Substring = ""
      for line in String(decoding: reader.body, as: UTF8.self).split(separator: "\n") {
        if line.hasPrefix("# ") {
          family = line.split(separator: " ").dropFirst(2).first ?? ""
          if samples[family] == nil {
            order.append(family)
            samples[family] = []
          }
          if heads[family, default: []].count < 2 { heads[family, default: []].append(line) }
        } else {
          samples[family, default: []].append(Self.labelled(line, shard))
        }
      }
    }
    let lines = order.flatMap { family in heads[family, default: []].map(String.init) + samples[family, default: []] }
    return own + Array(lines.map { $0 + "\n" }.joined().utf8)
  }

  /// A sample with the label of its shard.
  private static func labelled(_ sample: Substring, _ shard: Int) -> String {
    let nameEnd = sample.firstIndex { $0 == "{" || $0 == " " } ?? sample.endIndex
    let hasLabels = nameEnd < sample.endIndex && sample[nameEnd] == "{"
    let rest = hasLabels ? "," + sample[sample.index(after: nameEnd)...] : "}" + sample[nameEnd...]
    return "\(sample[..<nameEnd]){shard=\"\(shard)\"\(rest)"
  }
}

/// What a node says of its part in the cluster.
enum NodeMetrics {
  static func page(_ views: [ShardView]) -> [UInt8] {
    var page = PrometheusText()
    func family(_ name: StaticString, _ kind: PrometheusText.Kind, _ help: StaticString, _ value: (ShardView) -> Int) {
      page.begin(name, kind, help)
      for view in views { page.sample(value(view), ["shard": String(view.number)]) }
    }
    family("escapement_shard_leading", .gauge, "Whether this node leads the shard.") { $0.isServing ? 1 : 0 }
    family("escapement_shard_ready", .gauge, "Whether this node leads or follows the shard and is up to date.") {
      $0.isReady ? 1 : 0
    }
    family("escapement_shard_epoch", .gauge, "The epoch of the shard that this node has read last.") {
      Int(clamping: $0.status.position.epoch)
    }
    family("escapement_shard_records_total", .counter, "Records of the shard's log that this node has read.") {
      Int(clamping: $0.status.position.nextRecord - 1)
    }
    family("escapement_shard_void_entries_total", .counter, "Entries read that did not count.") { $0.status.voidCount }
    family("escapement_shard_stream_bytes", .gauge, "Bytes of the shard's log in the servers of NATS.") {
      Int(clamping: $0.status.streamBytes)
    }
    return Array(page.readable)
  }
}
