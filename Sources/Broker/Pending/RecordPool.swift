// Memory for the records of near messages: blocks of equal size in slabs of 2 MiB.
//
// Holds: a slab starts at a multiple of its size and has blocks of one size, so a block's address leads to its slab; a slab with room
// stands in the line of its size, a full one does not. A slab whose blocks have all come back goes back to the system; one empty
// slab of each size is kept, so that a load that goes up and down does not fetch and return memory all the time.
// Leaves to others: records longer than the largest block, which are rare (`malloc` has them), what is in a block.
//
// Why not malloc: a release frees a record that was allocated long ago, between others. Joining it with its neighbours touched
// three cache lines, an eighth of the time of a release; and pages of 4 KiB cost a fault for every sixteenth record.

import Primitives
import TimingWheel

/// Memory in blocks.
final class RecordPool {
  /// What a slab begins with.
  private struct Header {
    /// The last block that came back; it begins with the address of the one before.
    var free: UnsafeMutableRawPointer?
    /// Memory behind this was never used.
    var fresh: UnsafeMutableRawPointer
    var liveCount = 0
    let size: Int
    /// Neighbours in the line of slabs with room.
    var previous: UnsafeMutablePointer<Header>?
    var next: UnsafeMutablePointer<Header>?
  }

  /// Sizes are multiples of a cache line.
  static let grain = 64
  /// The largest block.
  static let blockBytesMax = 2048
  private static let headerBytes = 64

  /// For each size, the slabs with room.
  @exclusivity(unchecked) private let lines: UnsafeMutablePointer<UnsafeMutablePointer<Header>?>
  private let slabCounts: UnsafeMutablePointer<Int>
  private static let sizeCount = blockBytesMax / grain + 1

  init() {
    lines = .allocate(capacity: Self.sizeCount)
    lines.initialize(repeating: nil, count: Self.sizeCount)
    slabCounts = .allocate(capacity: Self.sizeCount)
    slabCounts.initialize(repeating: 0, count: Self.sizeCount)
  }

  /// Every block must have come back.
  deinit {
    for size in 0..<Self.sizeCount {
      while let slab = lines[size] {
        precondition(slab.pointee.liveCount == 0, "a pool ends before its blocks")
        remove(slab)
        UnsafeMutableRawPointer(slab).deallocate()
      }
    }
    lines.deallocate()
    slabCounts.deallocate()
  }

  /// Bytes that a record of `count` bytes takes.
  @inline(__always)
  static func blockBytes(_ count: Int) -> Int { count <= blockBytesMax ? (count + grain - 1) & ~(grain - 1) : count }

  /// Memory of `count` bytes at least, at a multiple of 8. O(1).
  @inline(__always)
  func allocate(_ count: Int) -> UnsafeMutableRawPointer {
    guard count <= Self.blockBytesMax else { return .allocate(byteCount: count, alignment: 8) }
    let size = (count + Self.grain - 1) / Self.grain
    let slab = lines[size] ?? addSlab(size)
    slab.pointee.liveCount += 1
    if let block = slab.pointee.free {
      slab.pointee.free = block.load(as: UnsafeMutableRawPointer?.self)
      if slab.pointee.free == nil, isUsedUp(slab) { remove(slab) }
      return block
    }
    let block = slab.pointee.fresh
    slab.pointee.fresh = block + size * Self.grain
    if isUsedUp(slab) { remove(slab) }
    return block
  }

  /// Takes back memory that `allocate` gave for `count` bytes. O(1).
  @inline(__always)
  func free(_ block: UnsafeMutableRawPointer, _ count: Int) {
    guard count <= Self.blockBytesMax else { return block.deallocate() }
    let start = UnsafeMutableRawPointer(bitPattern: UInt(bitPattern: block) & ~UInt(Slab.bytes - 1))
    let slab = start.unsafelyUnwrapped.assumingMemoryBound(to: Header.self)
    let wasFull = slab.pointee.free == nil && isUsedUp(slab)
    block.storeBytes(of: slab.pointee.free, as: UnsafeMutableRawPointer?.self)
    slab.pointee.free = block
    slab.pointee.liveCount -= 1
    if wasFull { putInFront(slab) }
    if slab.pointee.liveCount == 0 { drop(slab) }
  }

  @inline(__always)
  private func isUsedUp(_ slab: UnsafeMutablePointer<Header>) -> Bool {
    slab.pointee.fresh + slab.pointee.size * Self.grain > UnsafeMutableRawPointer(slab) + Slab.bytes
  }

  @inline(never)
  private func addSlab(_ size: Int) -> UnsafeMutablePointer<Header> {
    let memory = Slab.allocate(hugePages: slabCounts[size] > 0)
    let slab = memory.bindMemory(to: Header.self, capacity: 1)
    slab.initialize(to: Header(fresh: memory + Self.headerBytes, size: size))
    slabCounts[size] += 1
    putInFront(slab)
    return slab
  }

  /// Gives an empty slab back, unless it is the only one of its size with room.
  private func drop(_ slab: UnsafeMutablePointer<Header>) {
    let size = slab.pointee.size
    guard lines[size] != slab || slab.pointee.next != nil else { return }
    remove(slab)
    slabCounts[size] -= 1
    UnsafeMutableRawPointer(slab).deallocate()
  }

  private func putInFront(_ slab: UnsafeMutablePointer<Header>) {
    let size = slab.pointee.size
    slab.pointee.previous = nil
    slab.pointee.next = lines[size]
    lines[size]?.pointee.previous = slab
    lines[size] = slab
  }

  private func remove(_ slab: UnsafeMutablePointer<Header>) {
    let next = slab.pointee.next
    next?.pointee.previous = slab.pointee.previous
    if let previous = slab.pointee.previous { previous.pointee.next = next } else { lines[slab.pointee.size] = next }
    slab.pointee.previous = nil
    slab.pointee.next = nil
  }

  /// Slabs that the pool has from the system. O(sizes).
  var slabCount: Int { (0..<Self.sizeCount).reduce(0) { $0 + slabCounts[$1] } }
}
