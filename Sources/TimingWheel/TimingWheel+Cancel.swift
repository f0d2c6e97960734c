// Cancelling: the timer is gone at once, its entry is left behind dead and dropped when its slot is next worked on.
//
// Holds: a slot has at most as many dead entries as live ones, or as a chunk has room for; one without live entries is
// empty. So memory stays within twice what the waiting timers need, and two chunks for each occupied slot.
// Leaves to others: dropping the dead of a slot that is demoted or fires (TimingWheel+Advance).

extension TimingWheel {
  /// Removes a waiting timer.
  ///
  /// - Returns: false when there is no such timer: it was handed over, cancelled before, or never was.
  /// - Complexity: O(1) amortised: a slot is rewritten when most of it is dead, at most two entries for each cancelled
  ///   timer.
  @inlinable
  public mutating func cancel(_ id: TimerID) -> Bool {
    guard nodes.isWaiting(id) else { return false }
    let node = nodes.node(id.index)
    let place = slots + Int(truncatingIfNeeded: node.pointee.location)
    nodes.vacate(id, node)
    waitingCount &-= 1
    place.pointee.dead &+= 1
    let slotCount = place.pointee.count
    if place.pointee.dead &* 2 > slotCount { dropDead(place) }
    return true
  }

  /// Whether the timer still waits.
  @inlinable
  public func contains(_ id: TimerID) -> Bool { nodes.isWaiting(id) }

  /// Empties a slot without live entries; rewrites one that is longer than a chunk.
  @usableFromInline
  mutating func dropDead(_ place: UnsafeMutablePointer<Slot>) {
    if place.pointee.dead == place.pointee.count {
      release(chainFrom: place.pointee.head)
      let (level, slot) = levelAndSlot(UInt32(place - slots))
      clear(level, slot)
    } else if place.pointee.count > Chunk.capacity {
      rewrite(place)
    }
  }

  /// Moves the live entries of a slot together at the front of its chain, in order. There is at least one.
  private mutating func rewrite(_ place: UnsafeMutablePointer<Slot>) {
    var source = place.pointee.head
    var target = source!
    var written = 0
    let whole = place.pointee
    beginFetching(whole)
    while let chunk = source {
      fetchBehind(chunk, whole)
      let next = Chunk.next(of: chunk)
      let live = Chunk.firstEntry(of: chunk)
      let liveCount = nodes.keepWaiting(place.pointee.entries(of: chunk))
      // What the target chunk still takes, then the rest at the front of the one after it, which has been read already
      // (or is this one: then the entries move towards its front).
      let fitting = min(liveCount, Chunk.capacity - written)
      (Chunk.firstEntry(of: target) + written).update(from: live, count: fitting)
      written += fitting
      if fitting < liveCount {
        target = Chunk.next(of: target)!
        written = liveCount - fitting
        Chunk.firstEntry(of: target).update(from: live + fitting, count: written)
      }
      source = next
    }
    release(chainFrom: Chunk.next(of: target))
    Chunk.setNext(of: target, to: nil)
    place.pointee.cursor = target + (Chunk.headerBytes + written * Chunk.entryBytes)
    place.pointee.count &-= place.pointee.dead
    place.pointee.dead = 0
  }

  /// Gives a chain of chunks back to the pool.
  private mutating func release(chainFrom head: UnsafeMutableRawPointer?) {
    var rest = head
    while let chunk = rest {
      rest = Chunk.next(of: chunk)
      chunks.giveBack(chunk)
    }
  }

  /// The level and slot of a place in the slot table.
  func levelAndSlot(_ location: UInt32) -> (level: Int, slot: Int) {
    guard location > 0 else { return (0, 0) }
    let (above, slot) = (Int(location) - 1).quotientAndRemainder(dividingBy: wheelSize)
    return (above + 1, slot)
  }
}
