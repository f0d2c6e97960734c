// How many messages of each queue of a topic stand before a place in its log. By these counts a queue's own offsets, which have no
// gaps, are found in the topic's log without an index of single messages.
//
// Holds: nothing is kept for queue 0, which has all messages that no other queue has, so that a topic without other queues pays
// nothing.

import Primitives

/// Messages of the queues 1, 2, … before some offset of a topic.
public struct QueueCounts: Equatable, Sendable {
  /// By queue, from 1 on; queues at the end that never had a message are not listed.
  public private(set) var others: [UInt64] = []

  /// None.
  public init() {}

  /// As they were written down.
  public init(others: [UInt64]) { self.others = others }

  /// The messages of a queue from 1 on.
  subscript(queue: UInt8) -> UInt64 { Int(queue) <= others.count ? others[Int(queue) - 1] : 0 }

  /// The messages of a queue before the offset `place`. O(queues) for queue 0.
  func count(of queue: UInt8, before place: TopicOffset) -> UInt64 {
    queue == 0 ? place - others.reduce(0, +) : self[queue]
  }

  /// One more message.
  @inline(__always) mutating func add(_ queue: UInt8) {
    if queue != 0 { addOther(Int(queue)) }
  }

  @inline(never) private mutating func addOther(_ queue: Int) {
    while others.count < queue { others.append(0) }
    others[queue - 1] += 1
  }

  /// Whether both say the same, whatever zeroes are listed.
  func isSame(as other: QueueCounts) -> Bool {
    (0..<max(others.count, other.others.count)).allSatisfy { self[UInt8($0 + 1)] == other[UInt8($0 + 1)] }
  }
}
