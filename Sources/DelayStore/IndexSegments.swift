// The memory of the index of pending messages: segments of one size, cut from slabs.
//
// Holds: all segments are of one size, so that tables which grow one after the other leave no holes behind.
// Leaves to others: what stands in a segment (PendingIndex).

import TimingWheel

struct IndexSegments {
  private var slabs: [UnsafeMutableRawPointer] = []
  /// What is left of the newest slab.
  private var fresh = 0..<0
  private let segmentBytes: Int

  /// Bytes of the segments that were taken.
  private(set) var takenBytes = 0

  init(segmentBytes: Int) { self.segmentBytes = segmentBytes }

  /// A segment of zeroes. O(its bytes).
  mutating func take() -> UnsafeMutableRawPointer {
    if fresh.count < segmentBytes {
      slabs.append(Slab.allocate(hugePages: !slabs.isEmpty))
      fresh = 0..<Slab.bytes
    }
    let segment = slabs[slabs.count - 1] + fresh.lowerBound
    fresh = fresh.lowerBound + segmentBytes..<fresh.upperBound
    takenBytes += segmentBytes
    segment.initializeMemory(as: UInt8.self, repeating: 0, count: segmentBytes)
    return segment
  }

  /// Gives all memory back to the system.
  func deallocate() { for slab in slabs { slab.deallocate() } }
}
