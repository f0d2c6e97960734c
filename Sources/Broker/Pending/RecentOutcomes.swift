// What became of messages lately: the outcome of each id whose message was released or cancelled within the id window, so that
// a repeated request gets the true answer.
//
// Holds: an outcome is remembered for at least `windowMs`, and never answered for longer; 32 bytes an id. Forgetting is a
// sweep over shards, a few at a time, so that it needs no queue and no turn of the loop is long.
// On disk: one append-only file ("bucket") for each stretch of an eighth of the window, `settled/<number>.ids`, of 40-byte
// entries: u64 + u64 hash, i64 time, u64 value, u32 CRC-32C of those 32 bytes, u32 zero. Numbers only say which bucket was
// written first; when one may go is said by its newest entry, so that a start with another window reads them right.
// Leaves to others: when to sweep (Pending), durability (journal, checkpoint).

import DataFiles
import Primitives

/// What became of a message.
struct RecentOutcome: Equatable {
  enum Fate: Equatable {
    case cancelled
    /// Held, and given up by its owner.
    case abandoned
    case released(offset: TopicOffset, dueMs: UnixMs)
  }
  var atMs: UnixMs
  var fate: Fate

  // 44 bits of offset, 20 bits of lateness (up to 17 minutes, then the due time shown is too late by the rest).
  private static let offsetBits: UInt64 = 44
  private static let latenessMax: Int64 = 1 << 20 - 2

  var packed: UInt64 {
    switch fate {
    case .cancelled: return .max
    case .abandoned: return .max - 1
    case .released(let offset, let dueMs):
      let lateness = min(max(0, atMs.subtractingReportingOverflow(dueMs).partialValue), Self.latenessMax)
      return UInt64(lateness) << Self.offsetBits | offset & (1 << Self.offsetBits - 1)
    }
  }

  init(atMs: UnixMs, fate: Fate) {
    self.atMs = atMs
    self.fate = fate
  }

  /// Text for comparisons. It leaves out how late a release was, since a checkpoint's copy of a message that was due already
  /// has the time of release as its due time.
  var digest: String {
    if case .released(let offset, _) = fate { return "\(atMs) \(offset)" }
    return "\(atMs) \(fate)"
  }

  init(atMs: UnixMs, packed: UInt64) {
    self.atMs = atMs
    let lateness = Int64(packed >> Self.offsetBits)
    fate =
      switch packed {
      case .max: .cancelled
      case .max - 1: .abandoned
      default: .released(offset: packed & (1 << Self.offsetBits - 1), dueMs: atMs - lateness)
      }
  }
}

/// The table and its files.
final class RecentOutcomes {
  struct Entry {
    var low: UInt64, high: UInt64, atMs: Int64, value: UInt64
  }
  private struct Shard {
    var entries: UnsafeMutablePointer<Entry>?
    var mask = 0
    var count = 0
  }
  private struct Bucket {
    let number: Int64
    let file: AppendFile
    var newestMs: UnixMs
  }

  static let shardCount = 4096
  static let sweepsPerWindow: Int64 = 256
  private static let shardsPerSweep = 64
  static let entryBytes = 40
  private static let free = Int64.min

  let windowMs: Int64
  private let bucketMs: Int64
  private let io: any IOQueue
  private let shards: UnsafeMutablePointer<Shard>
  @exclusivity(unchecked) private(set) var count = 0
  private var sweepShard = 0
  /// Oldest first; the last one is written to.
  @exclusivity(unchecked) private var buckets: [Bucket] = []
  private var nextBucket: Int64 = 1
  /// The end of the last bucket's stretch of time.
  @exclusivity(unchecked) private var bucketEndMs: UnixMs = 0
  private var obsolete: [String] = []

  init(windowMs: Int64, io: any IOQueue) {
    self.windowMs = windowMs
    self.io = io
    bucketMs = max(1000, windowMs / 8)
    shards = .allocate(capacity: Self.shardCount)
    shards.initialize(repeating: Shard(), count: Self.shardCount)
  }

  deinit {
    for shard in 0..<Self.shardCount { shards[shard].entries?.deallocate() }
    shards.deallocate()
  }

  /// What became of a message, if that was less than the window before `nowMs`. O(1).
  func find(_ hash: IDHash, nowMs: UnixMs) -> RecentOutcome? {
    let shard = shards[Int(hash.high >> 52)]
    guard let entries = shard.entries else { return nil }
    let entry = entries[Self.probe(entries, shard.mask, hash.low, hash.high)]
    guard entry.atMs != Self.free, nowMs - entry.atMs < windowMs else { return nil }
    return RecentOutcome(atMs: entry.atMs, packed: entry.value)
  }

  /// Has the processor fetch what `find` and `set` of this message will read.
  func prefetchEntry(_ hash: IDHash) {
    let shard = shards[Int(hash.high >> 52)]
    guard let entries = shard.entries else { return }
    // A run of occupied slots may reach into the next line.
    let entry = UnsafeRawPointer(entries + (Int(truncatingIfNeeded: hash.low) & shard.mask))
    prefetch(entry)
    prefetch(entry + 64)
  }

  /// Remembers what became of a message. Amortised O(1).
  func set(_ hash: IDHash, _ outcome: RecentOutcome) {
    guard windowMs > 0 else { return }
    let entry = Entry(low: hash.low, high: hash.high, atMs: outcome.atMs, value: outcome.packed)
    put(entry)
    let bucket = bucketFile(outcome.atMs).append(Self.entryBytes)
    bucket.storeBytes(of: entry.low.littleEndian, as: UInt64.self)
    bucket.storeBytes(of: entry.high.littleEndian, toByteOffset: 8, as: UInt64.self)
    bucket.storeBytes(of: entry.atMs.littleEndian, toByteOffset: 16, as: Int64.self)
    bucket.storeBytes(of: entry.value.littleEndian, toByteOffset: 24, as: UInt64.self)
    let checksum = CRC32C.checksum(UnsafeRawBufferPointer(start: bucket, count: 32))
    bucket.storeBytes(of: UInt64(checksum).littleEndian, toByteOffset: 32, as: UInt64.self)
  }

  private func put(_ entry: Entry) {
    let shard = shards + Int(entry.high >> 52)
    if shard.pointee.entries == nil || (shard.pointee.count + 1) * 4 > (shard.pointee.mask + 1) * 3 {
      rebuild(shard, capacity: shard.pointee.entries == nil ? 8 : (shard.pointee.mask + 1) * 2) { _ in true }
    }
    let entries = shard.pointee.entries!
    let slot = Self.probe(entries, shard.pointee.mask, entry.low, entry.high)
    if entries[slot].atMs == Self.free {
      shard.pointee.count += 1
      count += 1
    }
    entries[slot] = entry
  }

  /// Forgets what is out of the window in the next few shards; a whole round takes 64 calls.
  func sweep(nowMs: UnixMs) {
    for _ in 0..<Self.shardsPerSweep {
      let shard = shards + sweepShard
      sweepShard = (sweepShard + 1) % Self.shardCount
      guard let entries = shard.pointee.entries else { continue }
      var live = 0
      for slot in 0...shard.pointee.mask {
        if entries[slot].atMs != Self.free, nowMs - entries[slot].atMs < windowMs { live += 1 }
      }
      if live == shard.pointee.count { continue }
      var capacity = 8
      while live * 4 > capacity * 3 { capacity *= 2 }
      rebuild(shard, capacity: capacity) { nowMs - $0 < self.windowMs }
    }
  }

  private func rebuild(_ shard: UnsafeMutablePointer<Shard>, capacity: Int, keep: (Int64) -> Bool) {
    let old = shard.pointee
    let entries = UnsafeMutablePointer<Entry>.allocate(capacity: capacity)
    entries.initialize(repeating: Entry(low: 0, high: 0, atMs: Self.free, value: 0), count: capacity)
    var kept = 0
    if let before = old.entries {
      for slot in 0...old.mask where before[slot].atMs != Self.free && keep(before[slot].atMs) {
        entries[Self.probe(entries, capacity - 1, before[slot].low, before[slot].high)] = before[slot]
        kept += 1
      }
      before.deallocate()
    }
    count += kept - old.count
    shard.pointee = Shard(entries: entries, mask: capacity - 1, count: kept)
  }

  private static func probe(_ entries: UnsafeMutablePointer<Entry>, _ mask: Int, _ low: UInt64, _ high: UInt64) -> Int {
    var slot = Int(truncatingIfNeeded: low) & mask
    while entries[slot].atMs != free, entries[slot].low != low || entries[slot].high != high {
      slot = (slot + 1) & mask
    }
    return slot
  }

  /// Every outcome that is not out of the window. For tests: O(capacity).
  func all(nowMs: UnixMs) -> [IDHash: RecentOutcome] {
    var all: [IDHash: RecentOutcome] = [:]
    for shard in 0..<Self.shardCount {
      guard let entries = shards[shard].entries else { continue }
      for slot in 0...shards[shard].mask where entries[slot].atMs != Self.free && nowMs - entries[slot].atMs < windowMs
      {
        let entry = entries[slot]
        all[IDHash(low: entry.low, high: entry.high)] = RecentOutcome(atMs: entry.atMs, packed: entry.value)
      }
    }
    return all
  }

  // MARK: Files

  static func path(_ bucket: Int64) -> String { "settled/\(bucket).ids" }

  /// The file for an outcome of this time.
  private func bucketFile(_ atMs: UnixMs) -> AppendFile {
    let last = buckets.count - 1
    if last >= 0, atMs < bucketEndMs {
      buckets[last].newestMs = max(buckets[last].newestMs, atMs)
      return buckets[last].file
    }
    return openBucket(nextBucket, length: 0, newestMs: atMs)
  }

  @discardableResult
  private func openBucket(_ number: Int64, length: Int, newestMs: UnixMs) -> AppendFile {
    let file = AppendFile(path: Self.path(number), length: length, chunkBytesMax: 64 << 10, io: io)
    buckets.append(Bucket(number: number, file: file, newestMs: newestMs))
    nextBucket = number + 1
    bucketEndMs = (newestMs / bucketMs + 1) * bucketMs
    return file
  }

  /// Drops buckets that are out of the window, hands the others to the write lane and says what they are.
  func checkpoint(nowMs: UnixMs, unsynced: inout [String]) -> [(bucket: Int64, length: Int)] {
    let kept = buckets.firstIndex { nowMs - $0.newestMs < windowMs } ?? buckets.count
    obsolete += buckets[..<kept].map { $0.file.path }
    buckets.removeFirst(kept)
    return buckets.map { ($0.number, $0.file.checkpoint(unsynced: &unsynced)) }
  }

  func takeObsolete() -> [String] {
    defer { obsolete = [] }
    return obsolete
  }

  /// Takes over the buckets of a checkpoint, oldest first, cutting off what came after it.
  func recover(_ states: [(bucket: Int64, length: Int)], files: OpenFiles) throws(StorageError) {
    for state in states {
      let path = Self.path(state.bucket)
      let memory = try Self.read(path, state.length, files)
      let file = try files.file(path, create: true)
      if try files.storage.size(file) > state.length { try files.storage.truncate(file, to: state.length) }
      var newestMs: UnixMs = 0
      for at in stride(from: 0, to: state.length, by: Self.entryBytes) {
        let base = memory.base + at
        let entry = Entry(
          low: UInt64(littleEndian: base.loadUnaligned(as: UInt64.self)),
          high: UInt64(littleEndian: base.loadUnaligned(fromByteOffset: 8, as: UInt64.self)),
          atMs: Int64(littleEndian: base.loadUnaligned(fromByteOffset: 16, as: Int64.self)),
          value: UInt64(littleEndian: base.loadUnaligned(fromByteOffset: 24, as: UInt64.self)))
        put(entry)
        newestMs = max(newestMs, entry.atMs)
      }
      openBucket(state.bucket, length: state.length, newestMs: newestMs)
    }
  }

  /// Puts an entry that says nothing into the place of each damaged one; gives how many there were.
  static func mend(_ bytes: UnsafeMutableRawBufferPointer) -> Int {
    var damaged = 0
    for at in stride(from: 0, through: bytes.count - entryBytes, by: entryBytes) {
      let entry = UnsafeMutableRawBufferPointer(rebasing: bytes[at..<at + entryBytes])
      func checksum() -> UInt64 { UInt64(CRC32C.checksum(UnsafeRawBufferPointer(rebasing: entry[..<32]))) }
      if checksum() == UInt64(littleEndian: entry.loadUnaligned(fromByteOffset: 32, as: UInt64.self)) { continue }
      damaged += 1
      // Of an id that hashes to nothing, so long ago that it is forgotten at once.
      entry.initializeMemory(as: UInt8.self, repeating: 0)
      entry.storeBytes(of: checksum().littleEndian, toByteOffset: 32, as: UInt64.self)
    }
    return damaged
  }

  /// Reads and checks one bucket.
  static func read(_ path: String, _ length: Int, _ files: OpenFiles) throws(StorageError) -> Chunk {
    let memory = Chunk(filePosition: 0, capacity: length)
    let room = UnsafeMutableRawBufferPointer(start: memory.base, count: length)
    let count = try files.storage.read(try files.file(path, create: length == 0), at: 0, into: room)
    for at in stride(from: 0, to: length, by: entryBytes) {
      let isWhole = at + entryBytes <= count
      let stored = isWhole ? (memory.base + at).loadUnaligned(fromByteOffset: 32, as: UInt64.self).littleEndian : 0
      guard isWhole, UInt64(CRC32C.checksum(UnsafeRawBufferPointer(start: memory.base + at, count: 32))) == stored
      else {
        throw StorageError(
          kind: .damaged, operation: "read", path: path, reason: "the entry at byte \(at) does not match its checksum")
      }
    }
    return memory
  }
}
