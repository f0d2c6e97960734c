// How a stream is set up: what we ask for, and what is wrong with what is there.
//
// Holds: only what could lose, change or reorder entries, or keep them from being read, is compared. Servers of later versions
// may have more settings.
// Leaves to others: asking (JetStreamStream).

import LineProtocol
import Primitives

/// The set-up of a stream, as a server tells it.
struct StreamConfiguration {
  private var members: [String: String] = [:]

  init() {}

  init(_ value: JSONValue) {
    guard var cursor = value.object() else { return }
    while let (key, value) = cursor.next() {
      members[String(decoding: key, as: UTF8.self)] = String(decoding: value.raw, as: UTF8.self)
    }
  }

  private static func description(_ shard: Int, of shards: Int) -> String { "shard \(shard) of \(shards)" }

  /// With how many shards the cluster was made that the stream belongs to, if it is our shard's and the number is another one.
  func otherShards(than settings: JetStreamSettings) -> Int? {
    let start = "\"shard \(settings.shard) of "
    guard let text = members["description"], text.hasPrefix(start), text.hasSuffix("\""),
      let shards = Int(text.dropFirst(start.count).dropLast()), shards != settings.shards
    else { return nil }
    return shards
  }

  /// What must be so, as JSON.
  private static func required(_ settings: JetStreamSettings) -> [(name: String, value: String)] {
    [
      ("description", "\"\(description(settings.shard, of: settings.shards))\""),
      ("subjects", "[\"\(settings.subject)\"]"),
      ("retention", "\"limits\""), ("storage", "\"file\""), ("num_replicas", "\(settings.replicas)"),
      ("discard", "\"new\""), ("max_bytes", "\(settings.bytesMax)"), ("max_msgs", "-1"), ("max_age", "0"),
      ("max_consumers", "-1"), ("max_msg_size", "-1"), ("allow_direct", "true"), ("deny_delete", "true"),
      ("deny_purge", "false"),
      ("republish", "{\"src\":\"\(settings.subject)\",\"dest\":\"\(settings.tailSubject)\"}"),
    ]
  }

  /// What a server may say besides, and what it must not.
  private static let forbidden: [(name: String, allowed: [String])] = [
    ("max_msgs_per_subject", ["-1", "0"]), ("sealed", ["false"]), ("allow_rollup_hdrs", ["false"]),
    ("allow_msg_ttl", ["false"]), ("no_ack", ["false"]), ("mirror", ["null"]), ("sources", ["null", "[]"]),
    ("subject_transform", ["null"]), ("discard_new_per_subject", ["false"]), ("allow_msg_schedules", ["false"]),
    ("allow_msg_counter", ["false"]), ("allow_atomic", ["false"]), ("allow_batched", ["false"]),
    ("persist_mode", ["\"default\""]),
  ]

  /// The JSON that makes a stream.
  static func text(_ settings: JetStreamSettings) -> String {
    let rest = required(settings).map { "\"\($0.name)\":\($0.value)" }.joined(separator: ",")
    return "{\"name\":\"\(settings.name)\",\(rest)}"
  }

  /// What is not as it must be, in words; empty when all is.
  func differences(from settings: JetStreamSettings) -> [String] {
    let wrong = Self.required(settings).filter { Self.plain(members[$0.name]) != Self.plain($0.value) }
    let unwanted = Self.forbidden.filter { members[$0.name].map($0.allowed.contains) == false }
    return wrong.map { "\($0.name) is \(members[$0.name] ?? "not set") and must be \($0.value)" }
      + unwanted.map { "\($0.name) must not be \(members[$0.name] ?? "")" }
  }

  /// Without white space, and with what a server leaves out because it is nothing.
  private static func plain(_ value: String?) -> String {
    let text = (value ?? "").filter { !$0.isWhitespace }
    return text.isEmpty ? "false" : text
  }
}
