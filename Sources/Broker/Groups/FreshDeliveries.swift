// The first deliveries of one dispatch that are not recorded yet.

import Primitives

/// What a group was given since the last record of its deliveries.
final class FreshDeliveries {
  @exclusivity(unchecked) private var from: TopicOffset = 0
  @exclusivity(unchecked) private var entries: [Delivered.Entry] = []
  @exclusivity(unchecked) private var isPlain = true

  /// Begins anew at a group's cursor.
  func begin(at cursor: TopicOffset) {
    from = cursor
    entries.removeAll(keepingCapacity: true)
    isPlain = true
  }

  /// Whether one record can name this offset, too. It cannot when very many messages in between have ended already.
  func reaches(_ offset: TopicOffset) -> Bool { offset - from <= Delivered.Entry.distanceMax }

  @inline(__always) func add(_ offset: TopicOffset, keyHash: UInt64, isParked: Bool) {
    entries.append(Delivered.Entry(distance: offset - from, keyHash: keyHash, isParked: isParked))
    if keyHash != 0 || isParked { isPlain = false }
  }

  /// The decision that moves a group's cursor to `cursor`; nil when it has not moved.
  func decision(_ group: Group) -> Delivered? {
    let to = group.cursor
    guard to > from else { return nil }
    let isWhole = isPlain && UInt64(entries.count) == to - from
    return Delivered(group: group.number, offsets: from..<to, entries: isWhole ? nil : .draft(entries))
  }
}
