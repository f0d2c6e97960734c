// Looking into the wheels on disk: which slices there are and what lies in them.
//
// Holds: nothing here changes the store.
// Leaves to others: the form in which people see it (the operation `overview`).

import Primitives

/// One slice as it is at a moment.
public struct SliceSnapshot: Sendable {
  /// 0 is the finest level on disk.
  public let level: Int
  /// First millisecond of its stretch of time.
  public let startMs: UnixMs
  /// First millisecond behind it.
  public let endMs: UnixMs
  /// Messages that lie in it and nowhere else; at least 1.
  public let liveCount: Int
  /// Whether its messages are on their way to finer slices or into memory.
  public let isMoving: Bool
}

extension DelayStore {
  /// The slices that hold messages, the finest level first, in the order of time. O(slices log slices): a few hundred at most,
  /// however many messages there are.
  public var sliceSnapshots: [SliceSnapshot] {
    slices.values.filter { $0.onDiskCount > 0 }
      .map {
        SliceSnapshot(
          level: $0.key.level, startMs: layout.startMs($0.key), endMs: layout.endMs($0.key),
          liveCount: $0.onDiskCount, isMoving: $0.phase == .moving)
      }
      .sorted { ($0.level, $0.startMs) < ($1.level, $1.startMs) }
  }
}
