// What a group has been given and has not finished: one entry a message, found by offset.
//
// Holds: linear probing with the offset itself as hash, since offsets that are out at one time lie close together and so
// fall into neighbouring slots; at most half full.
// Leaves to others: timers, order of redelivery (Group).

import Foundations
import TimingWheel

/// A message between its first delivery and its end.
struct Outstanding: BitwiseCopyable {
  enum State: UInt8, BitwiseCopyable {
    /// With a consumer, its ack wait running.
    case inFlight
    /// To be delivered again as soon as somebody can take it.
    case ready
    /// To be delivered again after a time.
    case waiting
    /// Behind another message of its key; never delivered yet.
    case parked
    /// Delivered too often: on its way to the dead letters.
    case dying
  }

  var offset: TopicOffset
  var attempts: UInt32 = 0
  var state = State.inFlight
  /// The consumer that has it; `noConsumer` when none does.
  var consumer = Outstanding.noConsumer
  var timer = PendingSlab.noTimer
  /// Hash of its ordering key; 0 for none.
  var keyHash: UInt64 = 0
  /// In `waiting`: until when.
  var untilMs: UnixMs = 0

  static let noConsumer = UInt32.max
  static let none = TopicOffset.max
}

/// A table of outstanding messages.
final class OutstandingTable {
  private var slots: UnsafeMutablePointer<Outstanding>
  private var mask: Int
  private(set) var count = 0

  init() {
    mask = 15
    slots = .allocate(capacity: 16)
    slots.initialize(repeating: Outstanding(offset: Outstanding.none), count: 16)
  }

  deinit { slots.deallocate() }

  var capacity: Int { mask + 1 }

  /// The entry of an offset; the pointer is good until the next insert or remove.
  func find(_ offset: TopicOffset) -> UnsafeMutablePointer<Outstanding>? {
    let slot = probe(offset)
    return slots[slot].offset == Outstanding.none ? nil : slots + slot
  }

  /// Adds an entry for an offset that has none.
  func insert(_ entry: Outstanding) {
    if (count + 1) * 2 > capacity { resize(capacity * 2) }
    let slot = probe(entry.offset)
    precondition(slots[slot].offset == Outstanding.none, "offset \(entry.offset) is outstanding already")
    slots[slot] = entry
    count += 1
  }

  /// Removes an entry and gives it.
  func remove(_ offset: TopicOffset) -> Outstanding? {
    var hole = probe(offset)
    guard slots[hole].offset != Outstanding.none else { return nil }
    let removed = slots[hole]
    var next = (hole + 1) & mask
    while slots[next].offset != Outstanding.none {
      let home = Int(truncatingIfNeeded: slots[next].offset) & mask
      if (next &- home) & mask >= (next &- hole) & mask {
        slots[hole] = slots[next]
        hole = next
      }
      next = (next + 1) & mask
    }
    slots[hole].offset = Outstanding.none
    count -= 1
    if count * 16 < capacity, capacity > 1024 { resize(capacity / 4) }
    return removed
  }

  func removeAll() {
    count = 0
    resize(16)
  }

  /// Calls `body` for every entry, in no order; it must not insert or remove.
  func forEach(_ body: (UnsafeMutablePointer<Outstanding>) -> Void) {
    for slot in 0...mask where slots[slot].offset != Outstanding.none { body(slots + slot) }
  }

  private func probe(_ offset: TopicOffset) -> Int {
    var slot = Int(truncatingIfNeeded: offset) & mask
    while slots[slot].offset != Outstanding.none, slots[slot].offset != offset { slot = (slot + 1) & mask }
    return slot
  }

  private func resize(_ capacity: Int) {
    let old = slots
    let oldMask = mask
    let kept = count
    slots = .allocate(capacity: capacity)
    slots.initialize(repeating: Outstanding(offset: Outstanding.none), count: capacity)
    mask = capacity - 1
    if kept > 0 {
      for slot in 0...oldMask where old[slot].offset != Outstanding.none { slots[probe(old[slot].offset)] = old[slot] }
    }
    old.deallocate()
  }
}

/// Offsets to be delivered again, the smallest first. May hold stale ones: ask the table.
struct OffsetHeap {
  private var elements: [TopicOffset] = []

  var first: TopicOffset? { elements.first }
  var isEmpty: Bool { elements.isEmpty }

  mutating func insert(_ offset: TopicOffset) {
    elements.append(offset)
    var child = elements.count - 1
    while child > 0, elements[child] < elements[(child - 1) / 2] {
      elements.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func removeFirst() {
    elements[0] = elements[elements.count - 1]
    elements.removeLast()
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < elements.count && elements[child] < elements[least] {
        least = child
      }
      if least == parent { return }
      elements.swapAt(parent, least)
      parent = least
    }
  }

  mutating func removeAll() { elements = [] }
}
