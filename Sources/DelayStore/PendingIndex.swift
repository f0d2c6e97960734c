// Where each pending message is: a hash table from the 128-bit hash of (topic, id) to a place in memory or on disk, 20 bytes
// an entry.
//
// Holds: 4 096 shards by the highest bits of the hash. A shard is an array of slots with its entries in the order of their lower
// halves; an entry stands at its home, which is in that order, too, or behind a run of others that begins at a home no higher. No
// free slot is between an entry and its home, and the last slot of a shard is free. So a search ends at the first entry that is
// higher, even when a shard is 13/16 full, and a shard that grows is one pass over its entries.
// An entry keeps 108 bits of the hash: 64 of the lower half, 12 that say the shard, and the 32 next to them.
// Growth happens a shard at a time and by a fifth, so that no turn of the loop rehashes millions of entries: with ten million pending
// a shard has 2 400 entries and grows in about 10 µs. From half a million on, what grows has at most a third of its slots free.
// Source: Amble & Knuth, Ordered hash tables, 1974; with homes in the order of keys as in sorting by linear probing (Gonnet & Munro,
// 1984).
// Leaves to others: what a place means (`MessagePlace` says), the ids themselves (keyed bits stand for them).

import Primitives

/// Where a pending message is.
public enum MessagePlace: Hashable, Sendable {
  /// In memory, at this index of its owner's slab.
  case memory(UInt32)
  /// In the slice of this number, at this file position (a multiple of 8, below 1 TiB).
  case disk(slice: UInt32, position: Int)

  @inlinable init(packed: UInt64) {
    self =
      packed & 1 == 0
      ? .memory(UInt32(truncatingIfNeeded: packed >> 1))
      : .disk(slice: UInt32(packed >> 38), position: Int(packed >> 1 & 0x1F_FFFF_FFFF) << 3)
  }

  @inlinable var packed: UInt64 {
    switch self {
    case .memory(let index): UInt64(index) << 1
    case .disk(let slice, let position): UInt64(slice) << 38 | UInt64(position >> 3) << 1 | 1
    }
  }
}

/// A hash table from `IDHash` to `MessagePlace`.
public final class PendingIndex {
  /// The highest file position a place can name, exclusive.
  public static let positionMax = 1 << 40
  /// Slices are numbered below this.
  public static let sliceNumberMax: UInt32 = 1 << 26 - 1

  /// An entry as it stands in a slot: u64 lower half of the hash, u64 place + 1 (0: the slot is free), u32 of the upper half.
  @usableFromInline enum Entry {
    @usableFromInline static let bytes = 20
    @usableFromInline static let placeOffset = 8
    @usableFromInline static let highOffset = 16

    @inlinable static func low(_ slot: UnsafeRawPointer) -> UInt64 { slot.loadUnaligned(as: UInt64.self) }
    @inlinable static func place(_ slot: UnsafeRawPointer) -> UInt64 {
      slot.loadUnaligned(fromByteOffset: placeOffset, as: UInt64.self)
    }
    @inlinable static func high(_ slot: UnsafeRawPointer) -> UInt32 {
      slot.loadUnaligned(fromByteOffset: highOffset, as: UInt32.self)
    }
    @inlinable static func high(of hash: IDHash) -> UInt32 { UInt32(truncatingIfNeeded: hash.high >> 20) }

    static func write(_ hash: IDHash, _ place: UInt64, at slot: UnsafeMutableRawPointer) {
      slot.storeBytes(of: hash.low, as: UInt64.self)
      slot.storeBytes(of: place, toByteOffset: placeOffset, as: UInt64.self)
      slot.storeBytes(of: high(of: hash), toByteOffset: highOffset, as: UInt32.self)
    }

    @inline(__always)
    static func copy(_ slot: UnsafeRawPointer, to other: UnsafeMutableRawPointer) {
      other.copyMemory(from: slot, byteCount: bytes)
    }
  }

  @usableFromInline struct Shard {
    /// The parts of its array, each of `segmentSlots`.
    @usableFromInline var segments: UnsafeMutablePointer<UnsafeMutableRawPointer>?
    @usableFromInline var segmentCount: Int32 = 0
    /// Slots that are homes; those behind them take what is pushed over the end.
    @usableFromInline var homes: Int32 = 0
    @usableFromInline var count: Int32 = 0
    @inlinable init() {}

    var slotCount: Int { Int(segmentCount) * PendingIndex.segmentSlots }

    @inlinable func home(_ low: UInt64) -> Int { Int(low.multipliedFullWidth(by: UInt64(homes)).high) }

    @inline(__always) @inlinable func slot(_ number: Int) -> UnsafeMutableRawPointer {
      segments.unsafelyUnwrapped[number >> PendingIndex.segmentBits]
        + (number & (PendingIndex.segmentSlots - 1)) * Entry.bytes
    }
  }

  @usableFromInline static let shardBits = 12
  @usableFromInline static let segmentBits = 6
  @usableFromInline static let segmentSlots = 1 << segmentBits
  /// Slots of a new array that are no homes. More are added when they do not do.
  private static let spareSlots = 8
  @usableFromInline let shards: UnsafeMutablePointer<Shard>
  private var memory = IndexSegments(segmentBytes: segmentSlots * Entry.bytes)
  /// The entries of a shard that grows, in order.
  private var growing = UnsafeMutableRawBufferPointer(start: nil, count: 0)
  /// Entries in the table.
  @exclusivity(unchecked) public private(set) var count = 0
  /// Bytes of its shards and their segments.
  var memoryBytes: Int { memory.takenBytes + (MemoryLayout<Shard>.stride << Self.shardBits) }

  /// An empty index; 100 KiB.
  public init() {
    shards = .allocate(capacity: 1 << Self.shardBits)
    shards.initialize(repeating: Shard(), count: 1 << Self.shardBits)
  }

  deinit {
    for shard in 0..<1 << Self.shardBits { shards[shard].segments?.deallocate() }
    shards.deallocate()
    growing.deallocate()
    memory.deallocate()
  }

  @inlinable func shard(of hash: IDHash) -> UnsafeMutablePointer<Shard> {
    shards + Int(hash.high >> UInt64(64 - Self.shardBits))
  }

  // MARK: Single messages

  /// The place of a message, nil when it is not pending. O(1).
  @inlinable public func find(_ hash: IDHash) -> MessagePlace? {
    guard let slot = slot(of: hash, in: shard(of: hash).pointee) else { return nil }
    return MessagePlace(packed: Entry.place(slot) - 1)
  }

  /// Has the processor fetch what `find`, `set` and `remove` of this message will read.
  @inlinable public func prefetchEntry(_ hash: IDHash) {
    let shard = shard(of: hash).pointee
    guard shard.segments != nil else { return }
    // Entries stand two or three slots behind their homes, which may be in the next line.
    let home = UnsafeRawPointer(shard.slot(shard.home(hash.low)))
    prefetch(home)
    prefetch(home + 64)
  }

  /// Has the processor fetch what `prefetchEntry` will read: with millions of messages the lists of segments are in no near cache.
  @inlinable public func prefetchPath(_ hash: IDHash) {
    let shard = shard(of: hash).pointee
    guard let segments = shard.segments else { return }
    prefetch(segments + (shard.home(hash.low) >> Self.segmentBits))
  }

  @inlinable func slot(of hash: IDHash, in shard: Shard) -> UnsafeMutableRawPointer? {
    if shard.segments == nil { return nil }
    let found = search(hash, in: shard)
    return found.isThere ? found.slot : nil
  }

  /// Where a message stands or, when it is not there, would stand: the first slot in its run that is free or has a higher entry.
  @inlinable func search(
    _ hash: IDHash, in shard: Shard
  ) -> (number: Int, slot: UnsafeMutableRawPointer, isThere: Bool) {
    let high = Entry.high(of: hash)
    var number = shard.home(hash.low)
    while true {
      let slot = shard.slot(number)
      if Entry.place(slot) == 0 { return (number, slot, false) }
      let low = Entry.low(slot)
      if low > hash.low { return (number, slot, false) }
      if low == hash.low, Entry.high(slot) == high { return (number, slot, true) }
      number += 1
    }
  }

  /// Puts a message at a place, or moves it there. Amortised O(1).
  public func set(_ hash: IDHash, _ place: MessagePlace) {
    let shard = shard(of: hash)
    if shard.pointee.segments == nil { grow(shard) }
    var found = search(hash, in: shard.pointee)
    if found.isThere {
      return found.slot.storeBytes(of: place.packed + 1, toByteOffset: Entry.placeOffset, as: UInt64.self)
    }
    if Int(shard.pointee.count + 1) * 16 > Int(shard.pointee.homes) * 13 {
      grow(shard)
      found = search(hash, in: shard.pointee)
    }
    makeRoom(at: found.number, in: shard)
    Entry.write(hash, place.packed + 1, at: found.slot)
    shard.pointee.count += 1
    count += 1
  }

  /// Pushes what stands at a slot, and the run behind it, one slot further.
  private func makeRoom(at number: Int, in shard: UnsafeMutablePointer<Shard>) {
    var free = number
    while Entry.place(shard.pointee.slot(free)) != 0 { free += 1 }
    if free == shard.pointee.slotCount - 1 { addSegment(shard) }
    // Segment by segment, from the last one on.
    while free > number {
      let first = max(number, free & ~(Self.segmentSlots - 1))
      if first == free {
        Entry.copy(shard.pointee.slot(free - 1), to: shard.pointee.slot(free))
        free -= 1
      } else {
        let from = shard.pointee.slot(first)
        (from + Entry.bytes).copyMemory(from: from, byteCount: (free - first) * Entry.bytes)
        free = first
      }
    }
  }

  /// Forgets a message; false when it was not there. O(1).
  @discardableResult public func remove(_ hash: IDHash) -> Bool {
    let shard = shard(of: hash)
    let entries = shard.pointee
    guard entries.segments != nil else { return false }
    let found = search(hash, in: entries)
    guard found.isThere else { return false }
    var number = found.number
    var hole = found.slot
    // What was pushed away from its home comes nearer: no tombstones, so that a table under churn never degrades.
    while true {
      number += 1
      let next = entries.slot(number)
      if Entry.place(next) == 0 || entries.home(Entry.low(next)) == number { break }
      Entry.copy(next, to: hole)
      hole = next
    }
    hole.storeBytes(of: 0, toByteOffset: Entry.placeOffset, as: UInt64.self)
    shard.pointee.count -= 1
    count -= 1
    return true
  }

  // MARK: Room

  /// Makes room for so many messages, in an empty index: what comes one by one would make each shard grow again and again.
  public func reserve(_ count: Int) {
    precondition(self.count == 0, "room is made before anything comes")
    let mean = count >> Self.shardBits
    guard mean > 0 else { return }
    // Three standard deviations more than the mean: few shards get more than that.
    let expected = mean + 3 * Int(Double(mean).squareRoot())
    for shard in 0..<1 << Self.shardBits where shards[shard].segments == nil {
      resize(shards + shard, to: Self.segmentCount(forEntries: expected))
    }
  }

  /// Segments in which so many entries are not too many.
  private static func segmentCount(forEntries count: Int) -> Int {
    (count * 16 / 13 + 1 + spareSlots + segmentSlots - 1) / segmentSlots
  }

  private func grow(_ shard: UnsafeMutablePointer<Shard>) {
    let segments = (Int(shard.pointee.homes) + Self.spareSlots) / Self.segmentSlots
    resize(shard, to: shard.pointee.segments == nil ? 1 : segments + max(1, segments / 5))
  }

  /// Gives a shard so many segments at least, and puts its entries where they belong then. O(slots).
  private func resize(_ shard: UnsafeMutablePointer<Shard>, to segmentCount: Int) {
    let entries = takeEntries(shard)
    while Int(shard.pointee.segmentCount) < segmentCount { addSegment(shard) }
    shard.pointee.homes = Int32(segmentCount * Self.segmentSlots - Self.spareSlots)
    place(entries, in: shard)
  }

  /// Copies the entries of a shard out of it, in order, and leaves it empty. They are good until the next call.
  private func takeEntries(_ shard: UnsafeMutablePointer<Shard>) -> UnsafeRawBufferPointer {
    let byteCount = Int(shard.pointee.count) * Entry.bytes
    if growing.count < byteCount {
      growing.deallocate()
      growing = .allocate(byteCount: 2 * byteCount, alignment: 8)
    }
    var end = 0
    for segment in 0..<Int(shard.pointee.segmentCount) {
      let slots = shard.pointee.segments![segment]
      for slot in 0..<Self.segmentSlots where Entry.place(slots + slot * Entry.bytes) != 0 {
        Entry.copy(slots + slot * Entry.bytes, to: growing.baseAddress! + end)
        end += Entry.bytes
      }
      slots.initializeMemory(as: UInt8.self, repeating: 0, count: Self.segmentSlots * Entry.bytes)
    }
    return UnsafeRawBufferPointer(rebasing: growing[..<end])
  }

  /// Puts entries that are in order into a shard that has none.
  private func place(_ entries: UnsafeRawBufferPointer, in shard: UnsafeMutablePointer<Shard>) {
    var number = -1
    for start in stride(from: 0, to: entries.count, by: Entry.bytes) {
      let entry = entries.baseAddress! + start
      number = max(number + 1, shard.pointee.home(Entry.low(entry)))
      if number >= shard.pointee.slotCount - 1 { addSegment(shard) }
      Entry.copy(entry, to: shard.pointee.slot(number))
    }
  }

  /// Puts entries that are in order into an empty shard, with room for some more.
  func fill(_ shard: UnsafeMutablePointer<Shard>, with entries: UnsafeRawBufferPointer) {
    let entryCount = entries.count / Entry.bytes
    resize(shard, to: Self.segmentCount(forEntries: entryCount + entryCount / 16))
    place(entries, in: shard)
    shard.pointee.count = Int32(entryCount)
    count += entryCount
  }

  private func addSegment(_ shard: UnsafeMutablePointer<Shard>) {
    let count = Int(shard.pointee.segmentCount)
    let segments = UnsafeMutablePointer<UnsafeMutableRawPointer>.allocate(capacity: count + 1)
    if let before = shard.pointee.segments {
      segments.update(from: before, count: count)
      before.deallocate()
    }
    segments[count] = memory.take()
    shard.pointee.segments = segments
    shard.pointee.segmentCount += 1
  }

  // MARK: All of them

  /// Calls `body` for every entry, in no order; of a hash it gives the bits that an entry keeps (`kept`). For invariants and
  /// digests: O(slots).
  public func forEach(_ body: (IDHash, MessagePlace) -> Void) {
    for shard in 0..<1 << Self.shardBits {
      for number in 0..<shards[shard].slotCount {
        let slot = shards[shard].slot(number)
        if Entry.place(slot) == 0 { continue }
        let high = UInt64(shard) << UInt64(64 - Self.shardBits) | UInt64(Entry.high(slot)) << 20
        body(IDHash(low: Entry.low(slot), high: high), MessagePlace(packed: Entry.place(slot) - 1))
      }
    }
  }

  /// Forgets all of them. O(slots).
  func removeAll() {
    for shard in 0..<1 << Self.shardBits where shards[shard].count > 0 {
      _ = takeEntries(shards + shard)
      shards[shard].count = 0
    }
    count = 0
  }

  /// A hash with the bits that an entry keeps, the others 0.
  public static func kept(_ hash: IDHash) -> IDHash { IDHash(low: hash.low, high: (hash.high >> 20) << 20) }
}
