// The room of committed offsets: how far groups whose members pull have come in each queue of a topic. They are what their clients
// say; the broker keeps them and does nothing by them.
//
// Holds: every topic in it is alive. Groups here and the groups that messages are delivered to have nothing in common but that
// their names may be equal.
// Leaves to others: which offsets there are (the topic log), what a pull gives (front ends).

import Primitives

/// Offsets of groups that pull.
final class CommittedOffsets {
  /// By queue, and the number of entries is the highest queue's and one; nil where nothing was said.
  private typealias Queues = [UInt64?]

  private var topics: [UInt32: [String: Queues]] = [:]
  /// Pairs of a topic and a group.
  private(set) var count = 0

  /// How far a group has come; nil where it has said nothing. O(1).
  func offset(_ topic: UInt32, _ group: String, _ queue: UInt8) -> UInt64? {
    guard let queues = topics[topic]?[group], Int(queue) < queues.count else { return nil }
    return queues[Int(queue)]
  }

  /// The groups that have said something about a topic, by name.
  func groups(_ topic: UInt32) -> [String] { topics[topic].map { $0.keys.sorted() } ?? [] }

  /// Whether a group has said something about a topic. O(1).
  func has(_ topic: UInt32, _ group: String) -> Bool { topics[topic]?[group] != nil }

  func apply(_ committed: OffsetCommitted) {
    set(committed.topic, String(decoding: committed.group, as: UTF8.self), committed.queue, committed.offset)
  }

  private func set(_ topic: UInt32, _ group: String, _ queue: UInt8, _ offset: UInt64) {
    if !has(topic, group) { count += 1 }
    topics[topic, default: [:]][group, default: []].set(offset, at: Int(queue))
  }

  /// A topic is deleted.
  func remove(topic: UInt32) { count -= topics.removeValue(forKey: topic)?.count ?? 0 }
}

extension [UInt64?] {
  fileprivate mutating func set(_ offset: UInt64, at queue: Int) {
    while count <= queue { append(nil) }
    self[queue] = offset
  }
}

// MARK: State

extension CommittedOffsets {
  private typealias Entry = (topic: UInt32, group: String, queue: UInt8, offset: UInt64)

  /// In the same order for the same state.
  private var inOrder: [Entry] {
    var entries: [Entry] = []
    for (topic, groups) in topics.sorted(by: { $0.key < $1.key }) {
      for (group, queues) in groups.sorted(by: { $0.key < $1.key }) {
        for (queue, offset) in queues.enumerated() {
          if let offset { entries.append((topic, group, UInt8(queue), offset)) }
        }
      }
    }
    return entries
  }

  /// Bytes in a checkpoint: u32 n: u32 topic, group, u8 queue, u64 offset.
  func write(to writer: inout StateWriter) {
    let entries = inOrder
    writer.write(UInt32(entries.count))
    for entry in entries {
      writer.write(entry.topic)
      writer.write(entry.group)
      writer.write(entry.queue)
      writer.write(entry.offset)
    }
  }

  /// What a checkpoint says of committed offsets.
  struct State {
    var entries: [(topic: UInt32, group: String, queue: UInt8, offset: UInt64)] = []

    init() {}

    init(_ reader: inout StateReader) throws(CheckpointFault) {
      for _ in 0..<(try reader.read(UInt32.self)) {
        let topic = try reader.read(UInt32.self)
        let group = try reader.readText()
        let queue = try reader.read(UInt8.self)
        entries.append((topic, group, queue, try reader.read(UInt64.self)))
      }
    }
  }

  func recover(_ state: State) {
    for entry in state.entries { set(entry.topic, entry.group, entry.queue, entry.offset) }
  }

  func digest(into lines: inout [String]) {
    for entry in inOrder {
      lines.append("committed \(entry.topic) \(entry.group) \(entry.queue) \(entry.offset)")
    }
  }

  /// O(groups).
  func checkInvariants(isAlive: (UInt32) -> Bool) {
    precondition(topics.values.reduce(0) { $0 + $1.count } == count, "the pairs of a topic and a group are counted")
    precondition(topics.keys.allSatisfy(isAlive), "offsets are kept of living topics")
  }
}
