// Fetching consumers whose HTTP connection is gone: what they were given stays theirs until it is acknowledged or its wait ends.
//
// Holds: a consumer without deliveries goes at the latest when there are twice as many as were left the last time.
// Leaves to others: deliveries and their ack waits (Broker).

import Broker

struct Lingering {
  private var consumers: [Consumer] = []
  private var checkCount = 64

  /// Takes consumers over. Amortised O(1) each.
  mutating func adopt(_ orphans: [Consumer], _ broker: Broker) {
    consumers += orphans
    guard consumers.count >= checkCount else { return }
    consumers.removeAll { consumer in
      guard consumer.inFlight == 0 || !broker.isPresent(consumer) else { return false }
      broker.remove(consumer)
      return true
    }
    checkCount = max(64, 2 * consumers.count)
  }
}
