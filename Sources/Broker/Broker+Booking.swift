// Booking: what has left its place in memory is taken out of the index, its id becomes a settled one, its memory is free.
//
// Holds: a message that has left and is not booked yet stands in the index and the slab, marked there by `PendingSlab.hasLeft`;
// nobody sees that: `place(of:)` books when it meets one, `index` and `settled`, and whoever goes through the slab, before.
// Why not at once: these are two random places in large tables for each message, half the cost of a release. In a burst
// the message behind it waits for them, and nothing else does; later they cost the same or less.

import DelayStore
import Primitives

/// A message that has left and is not booked yet.
struct LeftMessage: BitwiseCopyable {
  var index: UInt32
  var dueMs: UnixMs
  var atMs: UnixMs
  /// Where it went; `nowhere` for a marker, and when its topic is gone.
  var offset = LeftMessage.nowhere

  static let nowhere = TopicOffset.max
  /// More messages are not put off: 4 MiB.
  static let countMax = 1 << 17
}

extension Broker {
  /// Where a pending message is. One that has left is not there; then all that have left are booked, so that `fate(of:)` knows it.
  func place(of hash: IDHash) -> MessagePlace? {
    let place = store.index.find(hash)
    guard !left.isEmpty, case .memory(let slot)? = place, slab[slot].pointee.timer == PendingSlab.hasLeft else {
      return place
    }
    bookLeft()
    return nil
  }

  /// What became lately of a message that `place(of:)` did not find.
  func fate(of hash: IDHash) -> Settled.Fate? { settledTable.find(hash, nowMs: nowMs)?.fate }

  /// Pending messages. O(1).
  var pendingCount: Int { store.index.count - left.count }

  /// Where pending messages are.
  var index: PendingIndex {
    bookLeft()
    return store.index
  }

  /// What became of messages lately.
  var settled: SettledIDs {
    bookLeft()
    return settledTable
  }

  /// Books messages that have left, `limit` at most. Amortised O(1) for each message.
  func bookLeft(limit: Int = .max) {
    if left.isEmpty { return }
    for _ in 0..<min(limit, left.count) {
      prefetchLeft()
      let gone = left.removeFirst()
      let hash = slab[gone.index].pointee.hash
      if gone.offset != LeftMessage.nowhere {
        settle(hash, .released(offset: gone.offset, dueMs: gone.dueMs), atMs: gone.atMs)
      }
      store.index.remove(hash)
      slab.remove(gone.index)
    }
  }

  /// Fetches what the next ones will need: the slot of one, and the table entries and the record's head of a nearer one.
  private func prefetchLeft() {
    if let later = left.ahead(16) { prefetch(slab[later.index]) }
    guard let soon = left.ahead(8) else { return }
    let message = slab[soon.index]
    if let record = message.pointee.record { prefetch(record) }
    store.index.prefetchEntry(message.pointee.hash)
    settledTable.prefetchEntry(message.pointee.hash)
  }
}
