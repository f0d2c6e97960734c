// Outstanding messages by offset when their offsets lie anywhere.
//
// Holds: linear probing; at most half full; an entry stands between its home slot and the first free slot behind it.
// Leaves to others: which entries are kept here (OutstandingTable).

import Primitives

/// A hash table of outstanding messages.
final class OutstandingHash {
  private var slots: UnsafeMutablePointer<Outstanding>
  private var mask = 15
  private(set) var count = 0

  init() { slots = Self.emptySlots(16) }

  deinit { slots.deallocate() }

  private static func emptySlots(_ count: Int) -> UnsafeMutablePointer<Outstanding> {
    let slots = UnsafeMutablePointer<Outstanding>.allocate(capacity: count)
    slots.initialize(repeating: Outstanding(offset: Outstanding.none), count: count)
    return slots
  }

  private var capacity: Int { mask + 1 }

  func find(_ offset: TopicOffset) -> UnsafeMutablePointer<Outstanding>? {
    let slot = probe(offset)
    return slots[slot].offset == Outstanding.none ? nil : slots + slot
  }

  @discardableResult func insert(_ entry: Outstanding) -> UnsafeMutablePointer<Outstanding> {
    if (count + 1) * 2 > capacity { resize(capacity * 2) }
    let slot = probe(entry.offset)
    precondition(slots[slot].offset == Outstanding.none, "offset \(entry.offset) is outstanding already")
    slots[slot] = entry
    count += 1
    return slots + slot
  }

  func remove(_ offset: TopicOffset) -> Outstanding? {
    guard count > 0 else { return nil }
    var hole = probe(offset)
    guard slots[hole].offset != Outstanding.none else { return nil }
    let removed = slots[hole]
    // Backward shift: no tombstones.
    var next = (hole + 1) & mask
    while slots[next].offset != Outstanding.none {
      if (next &- home(slots[next].offset)) & mask >= (next &- hole) & mask {
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

  func forEach(_ body: (UnsafeMutablePointer<Outstanding>) -> Void) {
    for slot in 0...mask where slots[slot].offset != Outstanding.none { body(slots + slot) }
  }

  /// Neighbouring offsets go to places far apart, so that no run of occupied slots gets long.
  private func home(_ offset: TopicOffset) -> Int {
    Int(truncatingIfNeeded: (offset &* 0x9E37_79B9_7F4A_7C15) >> 32) & mask
  }

  private func probe(_ offset: TopicOffset) -> Int {
    var slot = home(offset)
    while slots[slot].offset != Outstanding.none, slots[slot].offset != offset { slot = (slot + 1) & mask }
    return slot
  }

  private func resize(_ capacity: Int) {
    let old = slots
    let oldMask = mask
    slots = Self.emptySlots(capacity)
    mask = capacity - 1
    if count > 0 {
      for slot in 0...oldMask where old[slot].offset != Outstanding.none { slots[probe(old[slot].offset)] = old[slot] }
    }
    old.deallocate()
  }
}
