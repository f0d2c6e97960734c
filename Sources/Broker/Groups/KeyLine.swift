// The outstanding messages of one ordering key, in their order.
//
// Holds: offsets ascend. Nearly always the first one is removed. That must not move all others, since a busy key has many.

import Primitives

/// A line of offsets.
struct KeyLine {
  private var offsets: [TopicOffset] = []
  private var head = 0

  var first: TopicOffset? { head < offsets.count ? offsets[head] : nil }

  /// All offsets, ascending.
  var all: [TopicOffset] { Array(offsets[head...]) }

  /// Adds an offset behind all others.
  mutating func append(_ offset: TopicOffset) { offsets.append(offset) }

  /// Takes an offset out; whether it was the first, nil when it was not there. Amortised O(1) for the first, O(n) for others.
  mutating func remove(_ offset: TopicOffset) -> Bool? {
    if first == offset {
      head += 1
      if head * 2 > offsets.count {
        offsets.removeFirst(head)
        head = 0
      }
      return true
    }
    var low = head
    var high = offsets.count
    while low < high {
      let middle = (low + high) / 2
      if offsets[middle] < offset { low = middle + 1 } else { high = middle }
    }
    guard low < offsets.count, offsets[low] == offset else { return nil }
    offsets.remove(at: low)
    return false
  }
}
