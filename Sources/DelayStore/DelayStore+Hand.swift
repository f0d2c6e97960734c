// The hand of the wheels on disk: it moves at least one slice ahead of service time, and the messages of the slices that it
// passes come into memory.

import DataFiles
import Primitives

extension DelayStore {
  /// Moves the hand towards one slice beyond `nowMs` as far as finished disk work allows, starting what is needed next.
  /// Cheap when there is nothing to do. O(slices) when a slice is passed.
  public func advance(nowMs: UnixMs) {
    let targetMs = handTarget(nowMs)
    while true {
      if let mover {
        guard mover.step() else { return }
        finish(mover.slice)
        self.mover = nil
      }
      loadedMs = routedMs
      guard routedMs < targetMs else { return }
      if let coarse = coarseSliceAtHand() {
        mover = SliceMover(self, coarse)
        continue
      }
      passHand(targetMs)
    }
  }

  /// Puts the hand of an empty store where it belongs.
  public func startEmpty(nowMs: UnixMs) {
    precondition(slices.isEmpty && index.count == 0, "the store is not empty")
    routedMs = handTarget(nowMs)
    loadedMs = routedMs
  }

  /// When `advance` next has something to do, nil for never: one slice before the first slice begins.
  public var nextWakeUpMs: UnixMs? {
    if mover != nil { return nil }
    guard let first = slices.values.lazy.filter({ $0.phase == .ahead }).map({ self.layout.startMs($0.key) }).min()
    else {
      return nil
    }
    return max(0, first - layout.sliceMs)
  }

  /// The hand keeps at least one whole slice ahead of time: long enough to read a big one.
  private func handTarget(_ nowMs: UnixMs) -> UnixMs {
    let slices = (max(0, nowMs) / layout.sliceMs).addingReportingOverflow(2)
    let target = slices.partialValue.multipliedReportingOverflow(by: layout.sliceMs)
    return slices.overflow || target.overflow ? .max - .max % layout.sliceMs : target.partialValue
  }

  private func coarseSliceAtHand() -> Slice? {
    slices.values.filter {
      $0.key.level > 0 && $0.phase == .ahead && layout.startMs($0.key) <= routedMs && routedMs < layout.endMs($0.key)
    }.max { $0.key.level < $1.key.level }
  }

  /// Moves the hand over empty time in one step, or begins to bring the slice that starts at the hand into memory.
  private func passHand(_ targetMs: UnixMs) {
    let ahead = slices.values.filter { $0.phase == .ahead }
    let firstMs = ahead.map { layout.startMs($0.key) }.min() ?? .max
    precondition(firstMs >= routedMs, "a slice was passed over")
    if firstMs > routedMs {
      routedMs = min(targetMs, firstMs)
      return
    }
    guard let next = slices[SliceKey(level: 0, number: routedMs / layout.sliceMs)] else {
      preconditionFailure("the slice at the hand is not a fine one")
    }
    routedMs += layout.sliceMs
    mover = SliceMover(self, next)
  }

  private func finish(_ slice: Slice) {
    precondition(
      slice.onDiskCount == 0 || slice.key.level == 0, "slice \(slice.file.path) was passed with messages in it")
    slice.phase = slice.key.level == 0 ? .near : .emptied
  }
}
