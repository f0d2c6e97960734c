// The keys of the objects that are open during a scan, to find a key that an object has twice.
//
// Holds: keys are compared decoded. An object's first keys lie on a stack and are compared one by one; from
// `linearKeysMax` on they go into one hash table for the line, hashed with the process's random key, so that nobody can
// choose keys that collide and make a line cost more than O(its length).
// Leaves to others: decoding (the scanner), keeping the key bytes in place until the scan ends.

import Glibc

/// Bytes of a decoded key: in the line, or in the arena when it had escapes.
struct KeySpan {
  var start: UnsafePointer<UInt8>
  var count: Int
}

/// One object's part of a `KeyLedger`; lives on the call stack of the scan.
struct LedgerPage {
  fileprivate var base: Int
  fileprivate var number: UInt32
  fileprivate var keys = 0
}

/// Detects duplicate keys.
struct KeyLedger: ~Copyable {
  // 16 keys: at most 120 comparisons, which mostly end at the length; a message's headers stay below it.
  static let linearKeysMax = 16
  private static let keptSlotsMax = 1024

  private struct Slot {
    var key: KeySpan
    var hash: Int
    // The object's number; 0 marks a free slot.
    var owner: UInt32
  }

  private var stack = UnsafeMutablePointer<KeySpan>.allocate(capacity: 64)
  private var stackCapacity = 64
  private var stackCount = 0
  private var slots: UnsafeMutablePointer<Slot>?
  private var slotCapacity = 0
  private var slotCount = 0
  private var pages: UInt32 = 0
  /// Keys compared with another one since the last `reset`: what the tests hold to be linear.
  private(set) var comparisons = 0

  /// Forgets everything: a new line.
  mutating func reset() {
    stackCount = 0
    pages = 0
    comparisons = 0
    if slotCount > 0 { clearTable() }
  }

  /// An object begins.
  mutating func open() -> LedgerPage {
    pages &+= 1
    return LedgerPage(base: stackCount, number: pages)
  }

  /// The object ends; its page must be the last opened one.
  mutating func close(_ page: LedgerPage) { stackCount = page.base }

  /// Notes a key; false when the object has it already.
  mutating func add(_ key: KeySpan, to page: inout LedgerPage) -> Bool {
    if page.keys >= Self.linearKeysMax { return addToTable(key, &page) }
    for index in page.base..<stackCount {
      comparisons &+= 1
      if Self.same(stack[index], key) { return false }
    }
    if stackCount == stackCapacity { growStack() }
    stack[stackCount] = key
    stackCount += 1
    page.keys += 1
    return true
  }

  @inline(__always) private static func same(_ one: KeySpan, _ other: KeySpan) -> Bool {
    one.count == other.count && memcmp(one.start, other.start, one.count) == 0
  }

  private mutating func addToTable(_ key: KeySpan, _ page: inout LedgerPage) -> Bool {
    if page.keys == Self.linearKeysMax {
      for index in page.base..<stackCount { _ = insert(stack[index], page.number) }
    }
    page.keys += 1
    return insert(key, page.number)
  }

  private mutating func insert(_ key: KeySpan, _ owner: UInt32) -> Bool {
    if slotCount * 2 >= slotCapacity { growTable() }
    var hasher = Hasher()
    hasher.combine(bytes: UnsafeRawBufferPointer(start: key.start, count: key.count))
    hasher.combine(owner)
    let hash = hasher.finalize()
    var place = hash & (slotCapacity - 1)
    let slots = slots!
    while slots[place].owner != 0 {
      comparisons &+= 1
      if slots[place].hash == hash, slots[place].owner == owner, Self.same(slots[place].key, key) { return false }
      place = (place + 1) & (slotCapacity - 1)
    }
    slots[place] = Slot(key: key, hash: hash, owner: owner)
    slotCount += 1
    return true
  }

  private mutating func growStack() {
    let larger = UnsafeMutablePointer<KeySpan>.allocate(capacity: stackCapacity * 2)
    larger.initialize(from: stack, count: stackCount)
    stack.deallocate()
    stack = larger
    stackCapacity *= 2
  }

  private mutating func growTable() {
    let old = slots
    let oldCapacity = slotCapacity
    slotCapacity = Swift.max(oldCapacity * 2, 256)
    let larger = Self.emptySlots(slotCapacity)
    for index in 0..<oldCapacity where old![index].owner != 0 {
      var place = old![index].hash & (slotCapacity - 1)
      while larger[place].owner != 0 { place = (place + 1) & (slotCapacity - 1) }
      larger[place] = old![index]
    }
    old?.deallocate()
    slots = larger
  }

  private mutating func clearTable() {
    slotCount = 0
    if slotCapacity <= Self.keptSlotsMax {
      memset(slots!, 0, slotCapacity * MemoryLayout<Slot>.stride)
      return
    }
    slots?.deallocate()
    slots = nil
    slotCapacity = 0
  }

  // All bits zero is a free slot.
  private static func emptySlots(_ count: Int) -> UnsafeMutablePointer<Slot> {
    let slots = UnsafeMutablePointer<Slot>.allocate(capacity: count)
    memset(slots, 0, count * MemoryLayout<Slot>.stride)
    return slots
  }

  deinit {
    stack.deallocate()
    slots?.deallocate()
  }
}
