// Every number that bounds or shapes the broker, with its default.

import DecisionLog
import Primitives

/// Settings of a broker.
public struct BrokerSettings: Sendable {
  /// Memory for near messages, about; those beyond it stay on disk until shortly before their time.
  public var nearBytesMax = 1 << 30
  /// Resolution of the timing wheel in milliseconds.
  public var tickMs: Int64 = 1
  /// Slots of each wheel.
  public var wheelSize = 512
  /// Width of the finest slice of the delay store. Fixed when the data folder is made.
  public var sliceMs: Int64 = 1 << 16
  /// The farthest a message may be scheduled ahead: ten years.
  public var maxDelayMs: Int64 = 10 * 365 * 86_400_000
  /// How long an id is remembered after its message was released or cancelled.
  public var idWindowMs: Int64 = 600_000
  /// Whether topics and groups come into being on first use.
  public var createsOnUse = true
  /// Delays of the levels 1…n.
  public var delayLevelsMs: [Int64] = DelayLevels.standard
  /// The delays of the levels as text, as the operator gave them.
  public var delayLevelsText = DelayLevels.standardText
  /// Time until the owner of a held message is first asked to decide.
  public var heldFirstCheckMs: Int64 = 6000
  /// Time between two such questions.
  public var heldCheckIntervalMs: Int64 = 30_000
  /// So many questions without a decision, and the message is abandoned.
  public var heldChecksMax: UInt32 = 15
  /// Where abandoned messages go.
  public var abandonedTopic = "TRANS_CHECK_MAX_TIME_TOPIC"
  /// Memory for held messages; beyond it no more are taken.
  public var heldBytesMax = 64 << 20
  /// A topic segment is sealed when it would grow beyond this.
  public var segmentBytes = 64 << 20
  /// Where a queue's segment is sealed. A queue gives a segment back when all messages in it have ended, so its segments are
  /// an eighth as long, but no shorter than 1 MiB because of that.
  var queueSegmentBytes: Int { max(segmentBytes / 8, min(segmentBytes, 1 << 20)) }
  /// Memory for the newest and the last read parts of all topics.
  public var cacheBytes = 256 << 20
  /// The largest body.
  public var bodyBytesMax = 1 << 20
  /// Pending messages, in memory and on disk.
  public var pendingMax = 100_000_000
  /// Pending messages of one topic.
  public var topicPendingMax = 100_000_000
  /// Bytes of the pending messages of one topic.
  public var topicPendingBytesMax = Int.max
  /// Topics, dead-letter topics among them.
  public var topicsMax = 100_000
  /// Groups of all topics.
  public var groupsMax = 100_000
  /// Messages of one group that were delivered and not acknowledged, waiting redeliveries among them; beyond it the group
  /// gets nothing new.
  public var outstandingMax = 1_000_000
  /// Messages released in one turn of the loop.
  public var releasesPerTurn = 4096
  /// Messages of queues that end in one turn of the loop, by expiry and by refusal each: a dead letter takes some 14 µs.
  public var endingsPerTurn = 512
  /// Messages in memory written out in one turn of the loop, in front of a checkpoint.
  public var copiesPerTurn = 4096
  /// Messages delivered to one group in one turn of the loop.
  public var deliveriesPerTurn = 2048
  /// Bytes of messages delivered in one turn of the loop, to all together: what may come on top of a connection's bound of
  /// unsent bytes before the loop sees that it does not read.
  public var deliveryBytesPerTurn = 16 << 20
  /// Bytes that a private tail may get in a turn even when groups have used up `deliveryBytesPerTurn`.
  public var tailBytesPerTurn = 256 << 10
  /// Bytes of messages in the reply to one fetch; the message that reaches it is the last.
  public var fetchBytesMax = 4 << 20
  /// What a delivery waits for. The engine takes it from the log.
  public var deliveryRule = DeliveryRule.withoutOwnRecord
  /// How long a topic that says nothing else keeps its messages: seven days.
  public var retentionMsDefault: Int64 = 7 * 86_400_000
  /// How many bytes a topic that says nothing else keeps.
  public var retentionBytesDefault: Int64 = .max

  /// The defaults.
  public init() {}
}

/// RocketMQ's table of delay levels.
public enum DelayLevels {
  /// The table as RocketMQ writes it.
  public static let standardText = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h"
  /// Its delays in milliseconds.
  public static let standard = parse(standardText)!

  /// Reads a table as RocketMQ does: split at single blanks (those at the end are nothing), the last character a unit of
  /// s m h d, the rest an integer. nil for a bad one.
  public static func parse(_ text: String) -> [Int64]? {
    var levels: [Int64] = []
    var words = text.split(separator: " ", omittingEmptySubsequences: false)
    while words.last?.isEmpty == true { words.removeLast() }
    for word in words {
      guard let unit = word.last, let count = Int64(word.dropLast()), count >= 0 else { return nil }
      let unitsMs: [Character: Int64] = ["s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000]
      guard let unitMs = unitsMs[unit] else { return nil }
      let (delayMs, overflow) = count.multipliedReportingOverflow(by: unitMs)
      if overflow { return nil }
      levels.append(delayMs)
    }
    return levels.isEmpty ? nil : levels
  }
}
