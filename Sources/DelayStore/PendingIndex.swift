// Where each pending message is: a hash table from the 128-bit hash of (topic, id) to a place in memory or on disk, 24 bytes
// an entry.
//
// Holds: an entry stands between its home slot and the first free slot behind it (linear probing); a shard is at most
// 3/4 full: at 7/8 the runs that a removal walks through are four times as long. Growth happens a shard at a time, so that
// no turn of the loop ever rehashes millions of entries: with ten million pending a shard has 2 400 entries and grows in
// about 30 µs.
// Leaves to others: what a place means (`MessagePlace` says), the ids themselves (128 keyed bits stand for them).

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

  @usableFromInline struct Entry {
    @usableFromInline var low: UInt64, high: UInt64
    // The place + 1, so that 0 means "free".
    @usableFromInline var place: UInt64
    @inlinable init(low: UInt64, high: UInt64, place: UInt64) {
      self.low = low
      self.high = high
      self.place = place
    }
  }

  @usableFromInline struct Shard {
    @usableFromInline var entries: UnsafeMutablePointer<Entry>?
    @usableFromInline var mask = 0
    @usableFromInline var count = 0
    @inlinable init() {}
  }

  @usableFromInline static let shardBits = 12
  @usableFromInline let shards: UnsafeMutablePointer<Shard>
  /// Entries in the table.
  @exclusivity(unchecked) public private(set) var count = 0

  /// An empty index; 100 KiB.
  public init() {
    shards = .allocate(capacity: 1 << Self.shardBits)
    shards.initialize(repeating: Shard(), count: 1 << Self.shardBits)
  }

  deinit {
    for shard in 0..<1 << Self.shardBits { shards[shard].entries?.deallocate() }
    shards.deallocate()
  }

  /// The place of a message, nil when it is not pending. O(1).
  @inlinable public func find(_ hash: IDHash) -> MessagePlace? {
    let shard = shards + Int(hash.high >> UInt64(64 - Self.shardBits))
    guard let entries = shard.pointee.entries else { return nil }
    let mask = shard.pointee.mask
    var slot = Int(truncatingIfNeeded: hash.low) & mask
    while entries[slot].place != 0 {
      if entries[slot].low == hash.low, entries[slot].high == hash.high {
        return MessagePlace(packed: entries[slot].place - 1)
      }
      slot = (slot + 1) & mask
    }
    return nil
  }

  /// Has the processor fetch what `find`, `set` and `remove` of this message will read.
  @inlinable public func prefetchEntry(_ hash: IDHash) {
    let shard = shards + Int(hash.high >> UInt64(64 - Self.shardBits))
    guard let entries = shard.pointee.entries else { return }
    // A run of occupied slots may reach into the next line.
    let entry = UnsafeRawPointer(entries + (Int(truncatingIfNeeded: hash.low) & shard.pointee.mask))
    prefetch(entry)
    prefetch(entry + 64)
  }

  /// Puts a message at a place, or moves it there. Amortised O(1).
  public func set(_ hash: IDHash, _ place: MessagePlace) {
    let shard = shards + Int(hash.high >> UInt64(64 - Self.shardBits))
    if shard.pointee.entries == nil || (shard.pointee.count + 1) * 4 > (shard.pointee.mask + 1) * 3 { grow(shard) }
    let entries = shard.pointee.entries!
    let slot = probe(entries, shard.pointee.mask, hash)
    if entries[slot].place == 0 {
      shard.pointee.count += 1
      count += 1
    }
    entries[slot] = Entry(low: hash.low, high: hash.high, place: place.packed + 1)
  }

  /// Forgets a message; false when it was not there. O(1).
  @discardableResult public func remove(_ hash: IDHash) -> Bool {
    let shard = shards + Int(hash.high >> UInt64(64 - Self.shardBits))
    guard let entries = shard.pointee.entries else { return false }
    let mask = shard.pointee.mask
    var hole = probe(entries, mask, hash)
    guard entries[hole].place != 0 else { return false }
    // Backward shift: no tombstones, so that a table under churn never degrades.
    var next = (hole + 1) & mask
    while entries[next].place != 0 {
      let home = Int(truncatingIfNeeded: entries[next].low) & mask
      if (next &- home) & mask >= (next &- hole) & mask {
        entries[hole] = entries[next]
        hole = next
      }
      next = (next + 1) & mask
    }
    entries[hole].place = 0
    shard.pointee.count -= 1
    count -= 1
    return true
  }

  private func probe(_ entries: UnsafeMutablePointer<Entry>, _ mask: Int, _ hash: IDHash) -> Int {
    var slot = Int(truncatingIfNeeded: hash.low) & mask
    while entries[slot].place != 0, entries[slot].low != hash.low || entries[slot].high != hash.high {
      slot = (slot + 1) & mask
    }
    return slot
  }

  /// Makes room for so many messages, in an empty index: what comes one by one would make each shard grow again and again.
  public func reserve(_ count: Int) {
    precondition(self.count == 0, "room is made before anything comes")
    // A shard that gets more than the average may grow once.
    var capacity = 8
    while (count >> Self.shardBits) * 4 > capacity * 3 { capacity *= 2 }
    guard capacity > 8 else { return }
    for shard in 0..<1 << Self.shardBits where shards[shard].entries == nil { resize(shards + shard, to: capacity) }
  }

  private func grow(_ shard: UnsafeMutablePointer<Shard>) {
    resize(shard, to: shard.pointee.entries == nil ? 8 : (shard.pointee.mask + 1) * 2)
  }

  private func resize(_ shard: UnsafeMutablePointer<Shard>, to capacity: Int) {
    let old = shard.pointee
    let entries = UnsafeMutablePointer<Entry>.allocate(capacity: capacity)
    entries.initialize(repeating: Entry(low: 0, high: 0, place: 0), count: capacity)
    shard.pointee.entries = entries
    shard.pointee.mask = capacity - 1
    guard let before = old.entries else { return }
    for slot in 0...old.mask where before[slot].place != 0 {
      let hash = IDHash(low: before[slot].low, high: before[slot].high)
      entries[probe(entries, capacity - 1, hash)] = before[slot]
    }
    before.deallocate()
  }

  /// Calls `body` for every entry, in no order. For invariants and recovery only: O(capacity).
  public func forEach(_ body: (IDHash, MessagePlace) -> Void) {
    for shard in 0..<1 << Self.shardBits {
      guard let entries = shards[shard].entries else { continue }
      for slot in 0...shards[shard].mask where entries[slot].place != 0 {
        body(IDHash(low: entries[slot].low, high: entries[slot].high), MessagePlace(packed: entries[slot].place - 1))
      }
    }
  }
}
