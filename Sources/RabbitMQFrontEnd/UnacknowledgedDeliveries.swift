// The deliveries of a channel that wait for an acknowledgement, by their tags.
//
// Holds: tags count up from 1; those of late stand in a ring at their tag, so that the usual acknowledgement costs no hash and
// no memory. What stays for much longer than its neighbours is moved aside, so that the ring is never much longer than what is
// in it.
// Leaves to others: what acknowledging means (RabbitMQChannel).

/// All of a channel.
struct UnacknowledgedDeliveries<Delivery> {
  private static var ringCountMin: Int { 64 }
  /// A ring of this size may be a quarter full before deliveries are moved aside.
  private static var sparseRingCount: Int { 4096 }

  // A power of two of places, or none. The delivery of a tag from `first` to `lastTag` is at the tag modulo their number;
  // all other places are empty.
  private var ring: [Delivery?] = []
  private var first: UInt64 = 1
  private var ringCount = 0
  private var aside: [UInt64: Delivery] = [:]
  /// The tag of the last delivery; 0 before the first one.
  private(set) var lastTag: UInt64 = 0

  init() {}

  @inline(__always) private func position(_ tag: UInt64) -> Int { Int(truncatingIfNeeded: tag) & (ring.count - 1) }

  /// Gives the next tag to a delivery that needs no acknowledgement. O(1).
  mutating func addAcknowledged() -> UInt64 {
    lastTag += 1
    if ringCount == 0 { first = lastTag + 1 } else { makeRoom() }
    return lastTag
  }

  /// Gives the next tag to a delivery and remembers it. Amortised O(1).
  @inline(__always) mutating func add(_ delivery: Delivery) -> UInt64 {
    lastTag += 1
    makeRoom()
    ring[position(lastTag)] = delivery
    ringCount += 1
    return lastTag
  }

  /// Takes one out; nil when no delivery that waits has this tag. O(1).
  @inline(__always) mutating func remove(_ tag: UInt64) -> Delivery? {
    guard tag >= first, tag <= lastTag else { return aside.isEmpty ? nil : aside.removeValue(forKey: tag) }
    let place = position(tag)
    guard let delivery = ring[place] else { return nil }
    ring[place] = nil
    ringCount -= 1
    if ringCount == 0 { first = lastTag + 1 }
    return delivery
  }

  /// Takes out all up to this tag, which was given out, in the order of their tags.
  mutating func removeAll(through tag: UInt64) -> [(tag: UInt64, delivery: Delivery)] {
    var removed = aside.filter { $0.key <= tag }.sorted { $0.key < $1.key }.map { (tag: $0.key, delivery: $0.value) }
    for (tag, _) in removed { aside[tag] = nil }
    while first <= tag {
      let next = first
      if ringCount > 0, let delivery = remove(next) { removed.append((next, delivery)) }
      // The last one that is removed moves `first` to the end.
      first = max(first, next + 1)
    }
    return removed
  }

  /// Takes back in what was taken out.
  mutating func restore(_ tag: UInt64, _ delivery: Delivery) {
    guard tag >= first else { return aside[tag] = delivery }
    ring[position(tag)] = delivery
    ringCount += 1
  }

  /// Makes sure that the last tag has a place in the ring.
  @inline(__always) private mutating func makeRoom() {
    if lastTag - first >= UInt64(ring.count) { shiftOrGrow() }
  }

  private mutating func shiftOrGrow() {
    if ringCount == 0 { first = lastTag } else { while ring[position(first)] == nil { first += 1 } }
    if lastTag - first < UInt64(ring.count) { return }
    if ring.count >= Self.sparseRingCount, ringCount < ring.count / 4 {
      let end = lastTag - UInt64(ring.count / 2)
      while first < end {
        aside[first] = ring[position(first)]
        if ring[position(first)] != nil { ringCount -= 1 }
        ring[position(first)] = nil
        first += 1
      }
    } else {
      let old = (first..<lastTag).map { ring[position($0)] }
      ring = Array(repeating: nil, count: max(Self.ringCountMin, ring.count * 2))
      for (offset, delivery) in old.enumerated() { ring[position(first + UInt64(offset))] = delivery }
    }
  }

  /// Calls `body` for each, in no order. O(places).
  func forEach(_ body: (Delivery) -> Void) {
    for delivery in ring { if let delivery { body(delivery) } }
    for delivery in aside.values { body(delivery) }
  }

  /// How many there are.
  var count: Int { ringCount + aside.count }

  /// Places that the ring has.
  var ringPlaces: Int { ring.count }
}
