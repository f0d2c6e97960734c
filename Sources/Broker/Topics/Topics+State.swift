// The topics' part of a checkpoint.
//
// Bytes: u32 next topic, u32 n topics: u32 number, name, i64 retentionMs, i64 retentionBytes, u64 first offset,
//   u64 next offset, i64 last release, u64 pending (for people: a start counts), u32 n segments: u64 base offset, u64 bytes, u8 sealed
// Second part, of topics with more queues than one: u32 n: u32 number, u32 n queues from 1 on: u64 messages before the first segment

import Primitives
import TopicLog

extension Topics {
  /// What a checkpoint says of the topics.
  struct State {
    struct Topic {
      var number: UInt32
      var name: String
      var retentionMs: Int64
      var retentionBytes: Int64
      var firstOffset: TopicOffset
      var nextOffset: TopicOffset
      var lastReleasedMs: UnixMs
      var segments: [TopicLog.SegmentState] = []
      var queueCounts = QueueCounts()
    }

    var nextNumber: UInt32 = 1
    var topics: [Topic] = []

    init() {}

    init(_ reader: inout StateReader) throws(CheckpointFault) {
      nextNumber = try reader.read(UInt32.self)
      for _ in 0..<(try reader.read(UInt32.self)) { topics.append(try Self.topic(&reader)) }
    }

    /// Reads the second part.
    mutating func readQueueCounts(_ reader: inout StateReader) throws(CheckpointFault) {
      var counts: [UInt32: QueueCounts] = [:]
      for _ in 0..<(try reader.read(UInt32.self)) {
        let number = try reader.read(UInt32.self)
        var others: [UInt64] = []
        for _ in 0..<(try reader.read(UInt32.self)) { others.append(try reader.read(UInt64.self)) }
        guard others.count < 256 else { throw CheckpointFault.short }
        counts[number] = QueueCounts(others: others)
      }
      for place in topics.indices { topics[place].queueCounts = counts[topics[place].number] ?? QueueCounts() }
    }

    private static func topic(_ reader: inout StateReader) throws(CheckpointFault) -> Topic {
      var topic = Topic(
        number: try reader.read(UInt32.self), name: try reader.readText(), retentionMs: try reader.read(Int64.self),
        retentionBytes: try reader.read(Int64.self), firstOffset: try reader.read(UInt64.self),
        nextOffset: try reader.read(UInt64.self), lastReleasedMs: try reader.read(Int64.self))
      _ = try reader.read(UInt64.self)
      for _ in 0..<(try reader.read(UInt32.self)) {
        let base = try reader.read(UInt64.self)
        let length = Int(try reader.read(UInt64.self))
        topic.segments.append(
          TopicLog.SegmentState(baseOffset: base, length: length, isSealed: try reader.read(UInt8.self) != 0))
      }
      return topic
    }
  }

  /// Writes the topics down and hands what is unwritten of their logs to the write lane.
  func write(to writer: inout StateWriter, unsynced: inout [String]) {
    writer.write(nextNumber)
    writer.write(UInt32(count))
    for topic in inOrder {
      writer.write(topic.number)
      writer.write(topic.name)
      writer.write(topic.retentionMs)
      writer.write(topic.retentionBytes)
      writer.write(topic.log.firstOffset)
      writer.write(topic.log.nextOffset)
      writer.write(topic.log.lastReleasedMs)
      writer.write(UInt64(topic.pendingCount))
      let segments = topic.log.checkpoint(unsynced: &unsynced)
      writer.write(UInt32(segments.count))
      for segment in segments {
        writer.write(segment.baseOffset)
        writer.write(UInt64(segment.length))
        writer.write(UInt8(segment.isSealed ? 1 : 0))
      }
    }
  }

  /// Writes the second part.
  func writeQueueCounts(to writer: inout StateWriter) {
    let counted = inOrder.filter { !$0.log.queueCountsOfFirstSegment.others.isEmpty }
    writer.write(UInt32(counted.count))
    for topic in counted {
      let others = topic.log.queueCountsOfFirstSegment.others
      writer.write(topic.number)
      writer.write(UInt32(others.count))
      for count in others { writer.write(count) }
    }
  }

  /// Lines for topics by name, and for their groups behind each.
  func digest(into lines: inout [String], asOf nowMs: UnixMs) {
    for topic in inOrder.sorted(by: { $0.name < $1.name }) {
      lines.append(
        "topic \(topic.number) \(topic.name) \(topic.log.firstOffset) \(topic.log.nextOffset) \(topic.pendingCount)")
      lines.append("kept \(topic.number) \(topic.retentionMs) \(topic.retentionBytes) \(topic.log.lastReleasedMs)")
      for queue in 1..<max(1, topic.log.queueCount) {
        let offsets = topic.log.offsets(ofQueue: UInt8(queue))
        lines.append("queue \(topic.number) \(queue) \(offsets.lowerBound) \(offsets.upperBound)")
      }
      for group in topic.groups.sorted(by: { $0.name < $1.name }) { group.digest(into: &lines, asOf: nowMs) }
    }
  }
}
