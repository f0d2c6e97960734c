// Disk space: refuses new messages while there is still room to finish what is promised.
//
// Holds: the disk is looked at once a second while anything is written, and on an I/O thread, since asking can block. The
// reserve file stands for space that other programs cannot take; it is given up when a write finds the disk full.
// Leaves to others: waiting for space when a write has failed (the write lane), the log's own reserve (DecisionLog).

import DataFiles
import Primitives

/// Watches one storage's free space.
struct SpaceWatch {
  static let intervalMs: Int64 = 1000
  static let reservePath = "reserve"
  private let minFreeBytes: Int
  private let reserveBytes: Int
  private var lastLookMs: UnixMs = .min
  private var lastLogBytes = -1

  init(minFreeBytes: Int, reserveBytes: Int) {
    // No disk is larger, and sums of them do not overflow.
    self.minFreeBytes = min(minFreeBytes, 1 << 60)
    self.reserveBytes = min(reserveBytes, 1 << 60)
  }

  mutating func watch(_ engine: Engine) {
    let nowMs = engine.broker.nowMs
    if engine.log.isSpaceLow { engine.broker.isDiskFull = true }
    guard nowMs >= lastLookMs &+ Self.intervalMs || lastLookMs == .min else { return }
    let isQuiet = engine.counters.logBytes == lastLogBytes && !engine.broker.isDiskFull
    if isQuiet { return }
    lastLookMs = nowMs
    lastLogBytes = engine.counters.logBytes
    engine.io.submit(SpaceTask(engine, minFreeBytes: minFreeBytes, reserveBytes: reserveBytes), .read)
  }
}

/// Looks at the free space, gives the reserve up or takes it again.
private final class SpaceTask: IOTask, @unchecked Sendable {
  private unowned let engine: Engine
  private let minFreeBytes: Int
  private let reserveBytes: Int
  private let wasFull: Bool
  private var freeBytes = 0

  init(_ engine: Engine, minFreeBytes: Int, reserveBytes: Int) {
    self.engine = engine
    self.minFreeBytes = minFreeBytes
    self.reserveBytes = reserveBytes
    wasFull = engine.broker.isDiskFull
  }

  override func run(_ files: OpenFiles) throws(StorageError) {
    let storage = files.storage
    freeBytes = storage.freeBytes()
    let hasReserve = try storage.list("").contains(SpaceWatch.reservePath)
    if hasReserve, freeBytes < minFreeBytes / 4 {
      try files.remove(SpaceWatch.reservePath)
    } else if !hasReserve, freeBytes >= 2 * (minFreeBytes + reserveBytes) {
      let file = try files.file(SpaceWatch.reservePath, create: true)
      do throws(StorageError) { try storage.preallocate(file, bytes: reserveBytes) } catch
        where error.kind == .diskFull
      {
        try files.remove(SpaceWatch.reservePath)
      }
      files.forget(SpaceWatch.reservePath)
    }
  }

  override func finished() {
    // Leaving the state takes an eighth more than the limit, so that it does not change back and forth.
    let limit = wasFull ? minFreeBytes + minFreeBytes / 8 : minFreeBytes
    engine.counters.freeDiskBytes = freeBytes
    engine.broker.isDiskFull = freeBytes < limit || engine.log.isSpaceLow
  }
}
