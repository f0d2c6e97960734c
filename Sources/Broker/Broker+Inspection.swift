// What people may see of the inside: gauges, the wheel, and a digest of all state for tests.

import Primitives
import TimingWheel
import TopicLog

/// Numbers that go up and down.
public struct BrokerGauges: Sendable {
  /// Messages scheduled and not released, in memory and on disk.
  public var pending: Int
  /// Messages that wait in queues for the end of their time to live.
  public var expiring: Int
  /// Those of both that lie on disk only.
  public var onDisk: Int
  /// Those that are due and have not left yet.
  public var dueNow: Int
  /// Bytes of the messages in memory.
  public var pendingBytes: Int
  /// Ids remembered after release or cancel.
  public var settledIDs: Int
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
    let expiring = groups.reduce(0) { $0 + ($1?.contents == nil ? 0 : $1!.topic.pendingCount) }
    return BrokerGauges(
      pending: index.count - expiring, expiring: expiring, onDisk: store.onDiskCount, dueNow: dueQueue.count,
      pendingBytes: slab.recordBytes,
      settledIDs: settled.count, held: held.count, topics: topics.count, groups: groupCount,
      consumers: consumers.count - freeConsumers.count,
      inFlight: groups.reduce(0) { $0 + ($1?.inFlightCount ?? 0) }, cacheBytes: cache.bytes)
  }

  /// The wheel's levels with their occupied slots. O(slots).
  public var wheelLevels: [LevelSnapshot] { wheel.levelSnapshots }

  /// A number that two brokers share when they hold the same messages, logs, groups and ids in the same state. For tests:
  /// reads everything that is in memory.
  package var digest: [String] {
    var lines: [String] = ["watermark \(watermark.dueMs) \(watermark.sequence)"]
    for topic in topicsInOrder {
      lines.append(
        "topic \(topic.number) \(topic.name) \(topic.log.firstOffset) \(topic.log.nextOffset) \(topic.pendingCount)")
      for group in groupsInOrder(topic) {
        lines.append("group \(group.number) \(group.name) \(group.cursor.offset)")
        var entries: [String] = []
        group.outstanding.forEach { entry in
          let state = entry.pointee.state
          // What a start makes of it: consumers are gone, and a wait may be over that no record ends.
          let isReady = state == .inFlight || state == .dying || state == .waiting && entry.pointee.untilMs <= nowMs
          let shown = isReady ? .ready : state
          entries.append("out \(entry.pointee.offset) \(entry.pointee.attempts) \(shown) \(entry.pointee.keyHash)")
        }
        lines += entries.sorted()
      }
    }
    for message in heldInOrder {
      lines.append("held \(message.number) \(message.record.topic) \(message.owner) \(message.checks)")
    }
    var pending: [String] = []
    index.forEach { hash, place in
      if case .memory(let slot) = place, topics[slab[slot].pointee.topic] == nil { return }
      pending.append("pending \(hash.low) \(hash.high)")
    }
    return lines + pending.sorted()
  }
}
