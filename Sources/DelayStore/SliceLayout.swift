// The overflow wheels that lie on disk: which slice a due time belongs to.
//
// Holds: level k has slices of `sliceMs × 64^k`; a slice of level k ≥ 1 never covers the hand, because it is demoted when
// the hand reaches its start. So at most 64 slices a level exist ahead of the hand, however far ahead messages lie, and a
// message is rewritten at most once a level on its way down.
// Leaves to others: the files.

import Primitives

/// Names one slice: all messages due in [number × width, (number + 1) × width).
public struct SliceKey: Hashable, Sendable {
  /// 0 for the finest slices.
  public var level: Int
  /// Start divided by width.
  public var number: Int64

  /// Names a slice.
  public init(level: Int, number: Int64) {
    self.level = level
    self.number = number
  }
}

/// The arithmetic of slices.
public struct SliceLayout: Sendable {
  /// Slices in one slice of the level above.
  public static let fanOut: Int64 = 64
  /// Width of a slice of level 0 in milliseconds.
  public let sliceMs: Int64
  private let widths: [Int64]

  /// The levels that 64-bit times need when the finest slice is `sliceMs` wide (≥ 1).
  public init(sliceMs: Int64) {
    precondition(sliceMs >= 1, "a slice is at least a millisecond wide")
    self.sliceMs = sliceMs
    var widths = [sliceMs]
    while true {
      let (next, overflow) = widths[widths.count - 1].multipliedReportingOverflow(by: Self.fanOut)
      if overflow { break }
      widths.append(next)
    }
    self.widths = widths
  }

  /// Width of a slice of this level.
  public func width(_ level: Int) -> Int64 { widths[level] }

  /// The slice for a message due at `dueMs` ≥ `handMs` ≥ 0: the finest one that does not cover the hand's own stretch of a
  /// coarser level. O(levels).
  public func slice(dueMs: UnixMs, handMs: UnixMs) -> SliceKey {
    precondition(dueMs >= handMs && handMs >= 0, "a slice lies ahead of the hand")
    var level = 0
    while level + 1 < widths.count, dueMs / widths[level + 1] != handMs / widths[level + 1] { level += 1 }
    return SliceKey(level: level, number: dueMs / widths[level])
  }

  /// First millisecond of a slice.
  public func startMs(_ key: SliceKey) -> UnixMs { key.number * widths[key.level] }

  /// First millisecond behind a slice; the end of time when that is beyond it.
  public func endMs(_ key: SliceKey) -> UnixMs {
    let (end, overflow) = startMs(key).addingReportingOverflow(widths[key.level])
    return overflow ? .max : end
  }

  /// Where the file of a slice is. A slice that has run empty and comes again has a higher generation, so that the removal of
  /// the old file can never meet the new one.
  public static func path(_ key: SliceKey, generation: UInt32) -> String {
    "delay/\(key.level)-\(key.number).\(generation).slice"
  }
}
