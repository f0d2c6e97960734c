// Queues in replay and in checkpoints.

import Primitives
import TopicLog

extension Broker {
  func replayEnqueued(_ reader: inout PayloadReader, _ sequence: Sequence) {
    let source = reader.read(UInt32.self)
    let sourceOffset = reader.read(UInt64.self)
    let atMs = reader.read(Int64.self)
    turn.note(atMs)
    var targets: [(topic: UInt32, expiresAtMs: UnixMs)] = []
    for _ in 0..<reader.read(UInt32.self) {
      targets.append((reader.read(UInt32.self), reader.read(Int64.self)))
    }
    let parts = MessageRecord(reader.rest.baseAddress!).parts
    for (place, target) in targets.enumerated() {
      guard let topic = topics[target.topic] else { continue }
      take(
        parts, topic, expiresAtMs: target.expiresAtMs, atMs: atMs, MessageSequence.of(record: sequence, position: place)
      )
    }
    if source != .max, Int(source) < groups.count, let group = groups[Int(source)] { end(group, sourceOffset) }
  }

  func replayDoomed(_ group: Group, _ reader: inout PayloadReader) {
    let reason = reader.read(UInt8.self)
    while reader.rest.count >= 12 {
      let start = reader.read(UInt64.self)
      for offset in start..<start + UInt64(reader.read(UInt32.self)) {
        guard let entry = group.outstanding.find(offset) else { continue }
        entry.pointee.state = .dying
        entry.pointee.reason = reason
      }
    }
  }

  /// After replay: what was with a consumer when its time ended waits again, and so ends.
  func settleExpired(_ group: Group) {
    guard group.contents != nil else { return }
    var expired: [TopicOffset] = []
    group.outstanding.forEach { entry in
      if entry.pointee.isExpired { expired.append(entry.pointee.offset) }
    }
    for offset in expired.sorted() { queueWork.overdue.append((group.topic.number, offset)) }
  }

  // MARK: Checkpoints

  func writeQueues(_ writer: inout StateWriter) {
    let queues = queues
    writer.write(UInt32(queues.count))
    var overdue = Array(queueWork.overdue[queueWork.overdueHead...])
    for group in queues {
      writer.write(group.number)
      group.contents!.ended.write(to: &writer)
      group.contents!.transient.write(to: &writer)
      overdue += group.contents!.immediate.map { (group.topic.number, $0) }
    }
    writer.write(UInt32(overdue.count))
    for (topic, offset) in overdue {
      writer.write(topic)
      writer.write(offset)
    }
  }

  func recoverQueues(_ state: QueuesState) {
    for queue in state.queues {
      guard let contents = groups[Int(queue.group)]?.contents else { continue }
      contents.ended = queue.ended
      contents.transient = queue.transient
    }
    queueWork.overdue = state.overdue
  }
}

/// The part of a checkpoint that is about queues.
struct QueuesState {
  var queues: [(group: UInt32, ended: OffsetSet, transient: OffsetSet)] = []
  var overdue: [(topic: UInt32, offset: TopicOffset)] = []

  init() {}

  init(_ reader: inout StateReader) throws(CheckpointFault) {
    for _ in 0..<(try reader.read(UInt32.self)) {
      let group = try reader.read(UInt32.self)
      queues.append((group, try OffsetSet(&reader), try OffsetSet(&reader)))
    }
    for _ in 0..<(try reader.read(UInt32.self)) {
      overdue.append((try reader.read(UInt32.self), try reader.read(UInt64.self)))
    }
  }
}
