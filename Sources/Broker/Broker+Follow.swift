// What keeps a broker small that only replays, for as long as another one decides.
//
// Holds: nothing here is recorded, and nothing changes what the records have made of the state.
// Leaves to others: applying records (`Broker+Apply`).

import Primitives

extension Broker {
  /// Drops what topic logs have in memory beyond their budget: a release of a few bytes brings thousands of messages into them.
  func evictWhileReplaying(drain: () -> Void) {
    topics.evict()
    // What is not written stays.
    if topics.cacheBytes > settings.cacheBytes { drain() }
  }

  /// Retires and forgets as a turn does, and reads ahead what is due soon. Called after each run of records.
  ///
  /// - Parameter aheadMs: service time up to which messages should be in memory.
  public func tidyWhileFollowing(aheadMs: UnixMs) {
    guard failure == nil else { return }
    topics.evict()
    pending.tidyWhileFollowing(aheadMs: aheadMs)
  }
}
