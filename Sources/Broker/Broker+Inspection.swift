// What people may see of the inside: gauges and the wheel.

import DelayStore
import Primitives
import TimingWheel

/// Gauges: numbers that go up and down.
public struct BrokerGauges: Sendable {
  /// Messages scheduled and not released, in memory and on disk.
  public var pending: Int
  /// Messages that wait in queues for the end of their time to live.
  public var expiring: Int
  /// Pending messages and expiry timers that lie on disk only.
  public var onDisk: Int
  /// Those of them that are near, and lie there for want of memory; what was cancelled or moved since counts until its time comes.
  public var spilled: Int
  /// Pending messages in memory that are due and not released yet.
  public var dueNow: Int
  /// Bytes of the messages in memory.
  public var pendingBytes: Int
  /// Ids whose outcome is remembered.
  public var recentOutcomes: Int
  /// Messages held back until their owners decide.
  public var held: Int
  /// Topics.
  public var topics: Int
  /// Groups of all topics.
  public var groups: Int
  /// Subscriptions, fetching connections and private tails.
  public var consumers: Int
  /// Deliveries that wait for an acknowledgement.
  public var inFlight: Int
  /// Bytes of topic logs in memory.
  public var cacheBytes: Int
}

extension Broker {
  /// The gauges. O(groups).
  public var gauges: BrokerGauges {
    let expiring = queues.inOrder.reduce(0) { $0 + ($1.topic.isRelay ? 0 : $1.topic.pendingCount) }
    return BrokerGauges(
      pending: pending.count - expiring, expiring: expiring, onDisk: pending.onDiskCount,
      spilled: pending.spilledCount, dueNow: pending.dueCount, pendingBytes: pending.recordBytes,
      recentOutcomes: pending.outcomeCount, held: held.count, topics: topics.count, groups: groups.count,
      consumers: groups.consumerCount,
      inFlight: groups.inOrder.reduce(0) { $0 + $1.inFlight }, cacheBytes: topics.cacheBytes)
  }

  /// About how much memory the state takes: what grows with messages, not what the process has in all. O(groups).
  public var memoryBytes: Int {
    let outstanding = groups.inOrder.reduce(0) { $0 + $1.outstanding.count }
    return pending.memoryBytes + topics.cacheBytes + held.bytes + outstanding * MemoryLayout<Outstanding>.stride * 2
      + (topics.count + groups.count) * 2048
  }

  /// The wheel's levels with their occupied slots. O(slots).
  public var wheelLevels: [LevelSnapshot] { pending.wheelLevels }

  /// Pending messages that lie on disk only.
  public var onDiskCount: Int { pending.onDiskCount }

  /// The slices of the wheels on disk that hold messages, the finest level first. O(slices), a few hundred at most.
  public var diskSlices: [SliceSnapshot] { pending.diskSlices }

  /// Messages that have been moved from a slice to a finer one or into memory, since the start.
  public var demotedCount: UInt64 { pending.demotedCount }

  /// The first `limit` topics by name of those that `isShown`. O(topics).
  public func firstTopics(_ limit: Int, where isShown: (Topic) -> Bool) -> [Topic] {
    topics.all.lazy.filter(isShown).smallest(limit) { $0.name < $1.name }
  }

  /// The first `limit` groups of a topic by name of those that `isShown`. O(groups of the topic).
  public func firstGroups(_ limit: Int, of topic: Topic, where isShown: (Group) -> Bool) -> [Group] {
    topic.groups.lazy.filter(isShown).smallest(limit) { $0.name < $1.name }
  }
}
