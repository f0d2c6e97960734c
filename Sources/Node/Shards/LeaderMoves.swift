// When this node gives the leadership of a shard to the node that should have it: one shard at a time.
//
// Leaves to others: who should lead (ReplicatedLog), giving it (Shard).

import Platform
import Synchronization

/// The moves of a node.
final class LeaderMoves: Sendable {
  /// Clients of one shard have found its new leader before those of the next one look for theirs.
  private static let apartNs: Int64 = 3_000_000_000

  private let lastNs = Mutex(Int64.min)

  /// Whether a move may begin now; then no other one may for a while. Any thread.
  func begin() -> Bool {
    let nowNs = SystemClock.bootNs()
    return lastNs.withLock { lastNs in
      guard lastNs == .min || nowNs - lastNs >= Self.apartNs else { return false }
      lastNs = nowNs
      return true
    }
  }
}
