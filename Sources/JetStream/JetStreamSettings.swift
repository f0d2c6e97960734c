// Which stream it is, and how it must be kept.

import ReplicatedStream

/// The settings of a stream in JetStream.
public struct JetStreamSettings: Equatable, Sendable {
  /// The shard whose entries the stream holds, from 0 on.
  public let shard: Int
  /// How many shards the cluster has; that of its making counts for good, because topics belong to shards by it.
  public let shards: Int
  /// The name of the stream, such as `ESC-0`.
  public var name: String
  /// Where entries are published; nobody else may publish there.
  public var subject: String
  /// Where the servers publish what is stored.
  public var tailSubject: String
  /// How many servers keep it.
  public var replicas: Int
  /// How many bytes it may take before it is full.
  public var bytesMax: Int64
  /// Whether it is made when it is not there. Otherwise it is waited for.
  public var mayCreate: Bool
  /// The stream that this node has read before, from its checkpoint; nil for a node without one. No other one is taken in its
  /// place, and none is made.
  public var identity: StreamIdentity?
  /// Whether a server that does not write to its disk before it answers is refused. Without this, what is stored lies in the
  /// memory of several servers, and a loss of power takes it away.
  public var mustSyncAlways = true
  /// How long an append may take before its outcome is unknown, in ms.
  public var appendTimeoutMs: Int64 = 1000
  /// How long a question may take before it is given up, in ms.
  public var questionTimeoutMs: Int64 = 1000
  /// How long a replica may take for the next entry of a read, in ms. One that has stopped gets its share of the reads all the
  /// same, and each of them costs this time.
  public var readTimeoutMs: Int64 = 400
  /// How long one step of a truncation may take, in ms.
  public var purgeTimeoutMs: Int64 = 5000

  /// The stream of one shard, by the usual names: `ESC-<shard>` with the subjects `esc.<shard>` and `escr.<shard>`.
  public init(shard: Int, of shards: Int, replicas: Int, bytesMax: Int64, mayCreate: Bool) {
    precondition(shard >= 0 && shard < shards, "a shard is one of those of its cluster")
    self.shard = shard
    self.shards = shards
    name = "ESC-\(shard)"
    subject = "esc.\(shard)"
    tailSubject = "escr.\(shard)"
    self.replicas = replicas
    self.bytesMax = bytesMax
    self.mayCreate = mayCreate
  }

  /// The oldest server that this was tested with. Older ones lose what they have acknowledged, in several ways.
  static let oldestServer = "2.15.1"
  /// 256 KiB: beyond that more in flight only waits, and eight of them fit below half a second of a slow disk.
  static let entryBytesMax = 256 << 10
  /// What the servers must take in one message: an entry and its headers.
  static let payloadBytesMin = entryBytesMax + 4096
}

/// A version such as `2.15.1`. What follows behind the numbers (`-dev`) is older than the version itself.
struct ServerVersion: Comparable {
  private let numbers: [Int]
  private let isFinished: Bool

  init?(_ text: String) {
    let main = text.prefix { $0 != "-" && $0 != "+" }
    let parts = main.split(separator: ".", omittingEmptySubsequences: false).map { UInt16($0).map(Int.init) }
    guard parts.count == 3, !parts.contains(nil) else { return nil }
    numbers = parts.compactMap { $0 }
    isFinished = main.endIndex == text.endIndex || text[main.endIndex] == "+"
  }

  /// Whether a server of this version may be used.
  static func isGood(_ text: String) -> Bool {
    guard let oldest = ServerVersion(JetStreamSettings.oldestServer), let version = ServerVersion(text) else {
      return false
    }
    return version >= oldest
  }

  static func < (one: ServerVersion, other: ServerVersion) -> Bool {
    if one.numbers != other.numbers { return one.numbers.lexicographicallyPrecedes(other.numbers) }
    return !one.isFinished && other.isFinished
  }
}
