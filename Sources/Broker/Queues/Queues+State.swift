// The queues' part of a checkpoint.
//
// Bytes: u32 n queues: u32 group, ended offsets, transient offsets (OffsetSet); u32 n overdue: u32 topic, u64 offset

import Primitives

extension Queues {
  /// What a checkpoint says of the queues.
  struct State {
    var queues: [(group: UInt32, endedAhead: OffsetSet, transient: OffsetSet)] = []
    var overdue: [OverdueMessage] = []

    init() {}

    init(_ reader: inout StateReader) throws(CheckpointFault) {
      for _ in 0..<(try reader.read(UInt32.self)) {
        let group = try reader.read(UInt32.self)
        queues.append((group, try OffsetSet(&reader), try OffsetSet(&reader)))
      }
      for _ in 0..<(try reader.read(UInt32.self)) {
        overdue.append(OverdueMessage(topic: try reader.read(UInt32.self), offset: try reader.read(UInt64.self)))
      }
    }
  }

  /// The overdue messages, then those that were to be delivered at once or never, which are overdue after a start.
  private var allOverdue: [OverdueMessage] {
    var all = (0..<overdue.count).compactMap { overdue.ahead($0) }
    for group in inOrder {
      all += (group.queue?.immediate ?? []).map { OverdueMessage(topic: group.topic.number, offset: $0) }
    }
    return all
  }

  func write(to writer: inout StateWriter) {
    let queues = inOrder
    writer.write(UInt32(queues.count))
    for group in queues {
      writer.write(group.number)
      group.endedAhead.write(to: &writer)
      group.queue!.transient.write(to: &writer)
    }
    let overdue = allOverdue
    writer.write(UInt32(overdue.count))
    for message in overdue {
      writer.write(message.topic)
      writer.write(message.offset)
    }
  }

  /// A message that expired while a consumer had it is only marked; the digest lists it as overdue, as a start does.
  func digest(into lines: inout [String]) {
    let overdue = allOverdue
    for group in inOrder {
      guard let queue = group.queue else { continue }
      var offsets = Set(
        overdue.filter { $0.topic == group.topic.number && !group.hasFinished($0.offset) }.map(\.offset))
      group.outstanding.forEach { if $0.pointee.isExpired { offsets.insert($0.pointee.offset) } }
      lines.append("queue \(group.number) transient \(queue.transient.offsets) overdue \(offsets.sorted())")
    }
  }
}
