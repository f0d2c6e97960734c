// The groups' part of a checkpoint, a start, and the digest.
//
// Bytes: u32 n groups: u32 number, u32 topic, name, u64 cursor, u32 n outstanding: u64 offset, u32 attempts, u8 marks,
//   u64 key hash, i64 until; u32 groups ever made
// An outstanding entry's marks: 4 bits of state, 3 bits of the reason why it is dead-lettered, and whether its time to live
// has ended.

import Primitives
import TopicLog

extension Groups {
  /// What a checkpoint says of the groups.
  struct State {
    struct Group {
      var number: UInt32
      var topic: UInt32
      var name: String
      var cursor: TopicOffset
      var outstanding: [Outstanding] = []
    }

    var groups: [Group] = []
    /// Numbers that are used already.
    var numbers: UInt32 = 0

    init() {}

    init(_ reader: inout StateReader) throws(CheckpointFault) {
      for _ in 0..<(try reader.read(UInt32.self)) { groups.append(try Self.group(&reader)) }
      numbers = try reader.read(UInt32.self)
    }

    private static func group(_ reader: inout StateReader) throws(CheckpointFault) -> Group {
      var group = Group(
        number: try reader.read(UInt32.self), topic: try reader.read(UInt32.self), name: try reader.readText(),
        cursor: try reader.read(UInt64.self))
      for _ in 0..<(try reader.read(UInt32.self)) {
        var entry = Outstanding(offset: try reader.read(UInt64.self))
        entry.attempts = try reader.read(UInt32.self)
        entry.marks = try reader.read(UInt8.self)
        entry.keyHash = try reader.read(UInt64.self)
        entry.untilMs = try reader.read(Int64.self)
        group.outstanding.append(entry)
      }
      return group
    }
  }

  func write(to writer: inout StateWriter) {
    writer.write(UInt32(count))
    for group in inOrder {
      writer.write(group.number)
      writer.write(group.topic.number)
      writer.write(group.name)
      writer.write(group.cursor)
      writer.write(UInt32(group.outstanding.count))
      group.outstanding.forEach { entry in
        writer.write(entry.pointee.offset)
        writer.write(entry.pointee.attempts)
        writer.write(entry.pointee.marks)
        writer.write(entry.pointee.keyHash)
        writer.write(entry.pointee.untilMs)
      }
    }
    writer.write(nextNumber)
  }

  /// Ends recovery: messages that were with consumers become ready, and refused ones go on waiting for their redelivery.
  ///
  /// - Parameter isSalvaged: whether parts of the journal were left out. Then a group may know of messages whose own records
  ///   were left out.
  func start(isSalvaged: Bool) {
    for group in inOrder {
      if isSalvaged { forgetLost(group) }
      // A queue has a record of each rejection. Messages that were delivered too often have none: dispatch finds that out
      // again.
      group.outstanding.restart(keepsDeadLetters: group.queue != nil)
      if group.outstanding.firstDeadLetter() != nil { markDirty(group) }
      var waiting: [(offset: TopicOffset, untilMs: UnixMs)] = []
      group.outstanding.forEach { entry in
        if entry.pointee.state == .waiting { waiting.append((entry.pointee.offset, entry.pointee.untilMs)) }
      }
      for (offset, untilMs) in waiting { startWaiting(offset, untilMs, group) }
    }
  }

  private func forgetLost(_ group: Group) {
    let endOffset = group.topic.log.nextOffset
    var lost: [TopicOffset] = []
    group.outstanding.forEach { if $0.pointee.offset >= endOffset { lost.append($0.pointee.offset) } }
    for offset in lost { finish(offset, in: group) }
    group.forgetLost(from: endOffset)
  }
}

extension Group {
  func digest(into lines: inout [String], asOf nowMs: UnixMs) {
    lines.append("group \(number) \(name) \(cursor)")
    var entries: [String] = []
    outstanding.forEach { entry in
      // The state that a start would find: no consumer has a message, no record ends a wait whose time is over, and the only
      // dead-lettering with a record is a rejection in a queue.
      let shown =
        switch entry.pointee.state {
        case .parked: "parked"
        case .waiting where entry.pointee.untilMs > nowMs: "waiting"
        case .deadLettering where queue != nil && entry.pointee.reason == EndReason.rejected.rawValue: "rejected"
        case .inFlight, .ready, .waiting, .deadLettering: "ready"
        }
      entries.append("out \(entry.pointee.offset) \(entry.pointee.attempts) \(shown) \(entry.pointee.keyHash)")
      if shown == "waiting" { entries.append("until \(entry.pointee.offset) \(entry.pointee.untilMs)") }
    }
    lines += entries.sorted()
    if endedAhead.count > 0 { lines.append("ended \(endedAhead.offsets)") }
  }
}
