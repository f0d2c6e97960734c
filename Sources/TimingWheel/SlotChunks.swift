// What a slot holds: a chain of chunks, each a block of entries in the order of insertion, and the pool they come from.
//
// Holds: a chunk starts at a multiple of its size, so the place of the next entry alone says whether the chunk is full;
// all chunks of a chain but the last are full; a chunk is in one chain or in the pool.
// Leaves to others: which slot an entry belongs to, whether it is still alive (TimingWheel).

import CLinux

/// A chunk: the address of the next chunk of the chain, 8 unused bytes, and entries of 16 bytes.
@usableFromInline
enum Chunk {
  /// 31 entries. At ten million timers expiry took 146 ns with 512 bytes, 166 with 256 and 185 with 1024: small chunks
  /// are fetched too often, and of large ones the fine slots, mostly with one timer, use little.
  @usableFromInline static let bytes = 512
  @usableFromInline static let headerBytes = 16
  @usableFromInline static let entryBytes = 16
  @usableFromInline static let capacity = (bytes - headerBytes) / entryBytes

  /// Whether `cursor` is the end of a chunk (or null): the next entry needs a new one.
  @inlinable @inline(__always)
  static func isEnd(_ cursor: UnsafeMutableRawPointer?) -> Bool {
    UInt(bitPattern: cursor) & UInt(truncatingIfNeeded: bytes &- 1) == 0
  }

  @inlinable @inline(__always)
  static func next(of chunk: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer? {
    chunk.load(as: UnsafeMutableRawPointer?.self)
  }

  @inlinable @inline(__always)
  static func setNext(of chunk: UnsafeMutableRawPointer, to next: UnsafeMutableRawPointer?) {
    chunk.storeBytes(of: next, as: UnsafeMutableRawPointer?.self)
  }

  @inlinable @inline(__always)
  static func firstEntry(of chunk: UnsafeMutableRawPointer) -> UnsafeMutablePointer<TimerEntry> {
    (chunk + headerBytes).assumingMemoryBound(to: TimerEntry.self)
  }
}

extension Chunk {
  /// Has the processor fetch a chunk.
  @inline(__always)
  static func prefetch(_ chunk: UnsafeMutableRawPointer) {
    for line in stride(from: 0, to: bytes, by: 64) { clinux_prefetch(chunk + line) }
  }
}

/// A slot: its chain and how many of the entries in it belong to cancelled timers. All zero when empty. 32 bytes, so
/// that a slot never straddles a cache line.
@frozen @usableFromInline
struct Slot {
  @usableFromInline var head: UnsafeMutableRawPointer?
  /// Where the next entry goes; the end of the last chunk when that is full.
  @usableFromInline var cursor: UnsafeMutableRawPointer?
  @usableFromInline var count = 0
  @usableFromInline var dead = 0

  @usableFromInline init() {}

  /// The entries of `chunk`, a chunk of this slot's chain.
  @inline(__always)
  func entries(of chunk: UnsafeMutableRawPointer) -> UnsafeMutableBufferPointer<TimerEntry> {
    let first = Chunk.firstEntry(of: chunk)
    let isLast = Chunk.next(of: chunk) == nil
    let byteCount = isLast ? cursor! - UnsafeMutableRawPointer(first) : Chunk.bytes &- Chunk.headerBytes
    return UnsafeMutableBufferPointer(start: first, count: byteCount / Chunk.entryBytes)
  }
}

/// Chunks not in use, and the slabs all chunks are carved from. Memory once taken serves later chunks; the system gets
/// it back with the wheel (`deallocate`).
@usableFromInline
struct ChunkPool {
  @usableFromInline var free: UnsafeMutableRawPointer?
  @usableFromInline var inUse = 0
  private var slabs: [UnsafeMutableRawPointer] = []
  private var uncarved: UnsafeMutableRawPointer?

  init() {}

  func deallocate() {
    for slab in slabs { slab.deallocate() }
  }

  /// Memory taken from the system, in bytes.
  var reservedBytes: Int { slabs.count * Slab.bytes }

  /// An empty chunk with no next one.
  @usableFromInline
  mutating func take() -> UnsafeMutableRawPointer {
    inUse &+= 1
    guard let chunk = free else { return carve() }
    free = Chunk.next(of: chunk)
    Chunk.setNext(of: chunk, to: nil)
    return chunk
  }

  mutating func giveBack(_ chunk: UnsafeMutableRawPointer) {
    inUse &-= 1
    Chunk.setNext(of: chunk, to: free)
    free = chunk
  }

  private mutating func carve() -> UnsafeMutableRawPointer {
    let chunk: UnsafeMutableRawPointer
    if let next = uncarved {
      chunk = next
    } else {
      chunk = Slab.allocate(hugePages: !slabs.isEmpty)
      slabs.append(chunk)
    }
    let following = chunk + Chunk.bytes
    uncarved = following == slabs[slabs.count - 1] + Slab.bytes ? nil : following
    Chunk.setNext(of: chunk, to: nil)
    return chunk
  }
}
