// Spilling: near messages that find no room in memory lie on disk, and are brought back in parts shortly before their time.
//
// Holds: whether a message is in memory or on disk is no decision: it is in no record, and no client can see it.
// Leaves to others: the order in which they come back (SpillQueue), reading (DelayStore).

import DelayStore
import Primitives

extension Pending {
  /// How long before its time a message is brought back, when memory has room for it.
  private static let leadMs: Int64 = 1000
  /// Bytes of messages that are brought back together.
  private static let partBytesMax = 1 << 20

  private var partBytes: Int { min(Self.partBytesMax, max(1, settings.nearBytesMax / 8)) }

  /// Whether what comes back must make do with two parts a lane. Those whose time has come may take an eighth more than the rest.
  private var isShort: Bool { near.memoryBytes >= settings.nearBytesMax + settings.nearBytesMax / 8 }

  /// Begins to bring back what is due soon after `nowMs`: a part of each lane at most.
  func bringBack(nowMs: UnixMs) {
    if near.spilledLanes.isEmpty { return }
    makeRoom()
    for lane in near.spilledLanes {
      let fromMs = near.bringBackMs(lane, leadMs: Self.leadMs, isShort: isShort)
      guard let fromMs, fromMs <= nowMs else { continue }
      // Anything that is due in the lead time, in order.
      begin(lane, through: Watermark(dueMs: nowMs + Self.leadMs, sequence: .max))
    }
  }

  /// As `bringBack(nowMs:)` for a broker that only replays, if there is room: what it releases next, and when, others decide, and
  /// what a release needs it brings back by itself.
  func bringBackWhileFollowing(nowMs: UnixMs) {
    if hasRoomNear { bringBack(nowMs: nowMs) }
  }

  /// In replay: brings back everything that leaves by `watermarks`. `drain` does the disk work.
  func bringBack(through watermarks: Watermarks, drain: () -> Void) {
    for lane in near.spilledLanes {
      let limit = watermarks.reached(lane: lane)
      while let bound = near.spillBound(lane), bound <= limit, turn.failure == nil {
        makeRoom()
        begin(lane, through: limit)
        drain()
      }
    }
  }

  /// With memory used up, released messages are retired before others come: they have their memory until then.
  private func makeRoom() {
    if !hasRoomNear { retire(limit: settings.releasesPerTurn) }
  }

  /// Brings back the next part of a lane, unless one is on its way.
  private func begin(_ lane: Int, through limit: Watermark) {
    let part = near.takeSpilled(lane, bytesMax: partBytes, sliceMs: settings.sliceMs, through: limit)
    if part.isEmpty { return }
    store.bringBack(part) { [unowned self] in near.noteBroughtBack(lane) }
  }

  /// When a part can be brought back; nil for never, or not before something else has happened.
  var nextBringBackMs: UnixMs? {
    var next: UnixMs?
    for lane in near.spilledLanes {
      guard let fromMs = near.bringBackMs(lane, leadMs: Self.leadMs, isShort: isShort) else { continue }
      next = min(next ?? .max, fromMs)
    }
    return next
  }

  /// Whether something is due that is spilled or on its way back.
  func hasSpilledDue(_ nowMs: UnixMs) -> Bool {
    for lane in near.spilledLanes { if let bound = near.spillBound(lane), bound.dueMs <= nowMs { return true } }
    return false
  }

  /// Every near message that is on disk is spilled, and known to be. O(pending messages).
  func checkSpilled() {
    var known: Set<MessagePlace> = []
    near.forEachSpilled { known.insert(.disk(slice: store.sliceNumber(of: $0), position: $0.position)) }
    var isOnTheWay = false
    for lane in near.spilledLanes {
      guard let bound = near.spillBound(lane) else { continue }
      precondition(bound > watermarks.reached(lane: lane), "a spilled message was left behind by the watermark")
      isOnTheWay = isOnTheWay || near.isOnTheWay(lane)
    }
    if isOnTheWay { return }
    store.index.forEach { _, place in
      guard case .disk(let slice, _) = place, store.isNear(slice: slice) else { return }
      precondition(known.contains(place), "nobody will bring back a spilled message")
    }
  }
}
