// Advancing: time moves to the next occupied slot and the next, each is demoted or handed over, until the time is reached.
//
// Holds: a tick is completed before the next one is begun; the current one may be half handed over, the oldest first. Slots that
// start at the same tick are worked on from the finest level up, which keeps the order of insertion (see TimingWheel.swift).
// Leaves to others: when to call (nextWakeUpMs says when it is worth it), what expired timers mean.

extension TimingWheel {
  /// Moves the current time to `nowMs` and hands over every timer due by then, ordered by tick and, within a tick, by
  /// insertion.
  ///
  /// IDs handed over are no longer waiting (`cancel` and `contains` say false). Their indices are used again by later
  /// inserts, so read what you keep by them first.
  ///
  /// - Parameters:
  ///   - nowMs: the new time. Before the current time: nothing happens. The current time again: what has become due
  ///     since is handed over.
  ///   - limit: stops when this many timers have been handed over, or up to 30 more, so that a burst does not hold up the
  ///     caller, be it of one tick; at least 1.
  ///   - expired: where the timers go, behind those it already holds.
  /// - Returns: `currentTimeMs`, the time really reached: `nowMs` rounded down to a tick, or the tick of the limit, which may not
  ///   be handed over whole (`completedTimeMs`); then `nextWakeUpMs` tells that there is more to do. The next call goes on where
  ///   this one stopped.
  /// - Complexity: O(timers handed over + timers demoted + occupied slots passed); empty time costs nothing. A timer is
  ///   demoted at most once for each level above the first.
  @inlinable @discardableResult
  public mutating func advance(
    to nowMs: Int64, limit: Int = .max, into expired: inout ExpiredTimers
  ) -> Int64 {
    let target = reachedTick(nowMs: nowMs)
    guard target >= nowTick else { return currentTimeMs }
    if target < fireTickBound && target < demotionTickBound {
      nowTick = target
    } else {
      visitSlots(upTo: target, limit: limit, into: &expired)
    }
    return currentTimeMs
  }

  /// Goes from occupied slot to occupied slot until the target or the limit.
  @usableFromInline
  mutating func visitSlots(upTo target: UInt64, limit: Int, into expired: inout ExpiredTimers) {
    let (sum, overflow) = expired.count.addingReportingOverflow(max(limit, 1))
    let countMax = overflow ? Int.max : sum
    if isWithinTick, !handOver(1, slot(nowTick), countMax: countMax, into: &expired) { return }
    if occupiedLevels & 1 != 0 { handOver(0, 0, countMax: .max, into: &expired) }
    while true {
      fireTickBound = nextTickOfLevel(1)
      if expired.count >= countMax { return }
      let tick = min(fireTickBound, demotionTickBound)
      if tick > target {
        nowTick = target
        return
      }
      nowTick = tick
      if demotionTickBound == tick {
        demoteSlotsStartingNow()
        demotionTickBound = nextTick(fromLevel: 2)
      }
      if isWithinTick, !handOver(1, slot(tick), countMax: countMax, into: &expired) {
        fireTickBound = tick
        return
      }
    }
  }

  /// The start of the next occupied slot of a level, `UInt64.max` when there is none.
  @inline(__always)
  func nextTickOfLevel(_ level: Int) -> UInt64 {
    let number = slotNumber(nowTick, level)
    guard let distance = levels[level].occupied.distanceToNext(after: slot(number)) else { return .max }
    return (number &+ UInt64(truncatingIfNeeded: distance)) &* levels[level].ticksPerSlot
  }

  /// The start of the next occupied slot of any level from `level` up, `UInt64.max` when there is none.
  func nextTick(fromLevel level: Int) -> UInt64 {
    var earliest = UInt64.max
    var rest = occupiedLevels & (~0 &<< UInt64(level))
    while rest != 0 {
      earliest = min(earliest, nextTickOfLevel(rest.trailingZeroBitCount))
      rest &= rest &- 1
    }
    return earliest
  }

  /// Demotes the slots above level 1 that start at the current tick, finest first.
  private mutating func demoteSlotsStartingNow() {
    var level = 1
    while level < topLevel {
      level &+= 1
      let number = slotNumber(nowTick, level)
      guard number &* levels[level].ticksPerSlot == nowTick else { return }
      let slot = slot(number)
      if levels[level].occupied.contains(slot) { demote(level, slot) }
    }
  }

  /// Hands over the timers of a slot, which are all due, until `expired` has `countMax`; drops the dead on the way. Gives
  /// whether the slot is empty.
  @discardableResult
  private mutating func handOver(_ level: Int, _ slot: Int, countMax: Int, into expired: inout ExpiredTimers) -> Bool {
    let place = slots + (levels[level].firstSlot &+ slot)
    let whole = place.pointee
    slotsVisited &+= 1
    let liveCount = whole.count &- whole.dead
    let wanted = countMax &- expired.count
    let start = expired.reserve(min(liveCount, wanted < liveCount ? wanted &+ Chunk.capacity : liveCount))
    var end = start
    var passed = 0
    var rest = whole.head
    beginFetching(whole)
    while let chunk = rest, end - start < wanted {
      fetchBehind(chunk, whole)
      let entries = Chunk.firstEntry(of: chunk)
      passed &+= whole.entries(of: chunk).count
      let liveCount = keepWaiting(chunk, whole)
      for place in 0..<liveCount {
        let entry = entries[place]
        nodes.vacate(entry.id, nodes.node(entry.id.index))
        end.initialize(to: entry)
        end += 1
      }
      rest = Chunk.next(of: chunk)
      chunks.giveBack(chunk)
    }
    let handedOver = end - start
    expired.count &+= handedOver
    waitingCount &-= handedOver
    guard let rest else {
      clear(level, slot)
      return true
    }
    place.pointee.head = rest
    place.pointee.count &-= passed
    place.pointee.dead &-= passed &- handedOver
    if place.pointee.dead &* 2 > place.pointee.count { dropDead(place) }
    return place.pointee.head == nil
  }

  /// Empties a slot that starts at the current tick: its timers go to finer levels; those that are due, to the finest level's slot
  /// of this tick.
  private mutating func demote(_ level: Int, _ slot: Int) {
    let detached = slots[levels[level].firstSlot + slot]
    clear(level, slot)
    slotsVisited &+= 1
    let below = level &- 1
    let belowTicks = levels[below].ticksPerSlot
    var rest = detached.head
    beginFetching(detached)
    while let chunk = rest {
      fetchBehind(chunk, detached)
      let entries = Chunk.firstEntry(of: chunk)
      let liveCount = keepWaiting(chunk, detached)
      for place in 0..<liveCount {
        let entry = entries[place]
        let node = nodes.node(entry.id.index)
        // The slot starts now, so the finer windows start now too, at their slot 0: the wait alone gives the slot.
        let wait = fireTick(dueMs: entry.dueMs) &- nowTick
        var target = below
        if wait == 0 {
          target = 1
        } else if wait < belowTicks {
          while wait < levels[target].ticksPerSlot { target &-= 1 }
        }
        let targetSlot = Int(truncatingIfNeeded: slotNumber(wait, target))
        node.pointee.location = UInt32(truncatingIfNeeded: levels[target].firstSlot &+ targetSlot)
        append(entry, target, targetSlot)
      }
      rest = Chunk.next(of: chunk)
      chunks.giveBack(chunk)
    }
  }

  // MARK: Reading a chain

  /// Has the processor fetch the first three chunks of a chain and the nodes of the first.
  @inline(__always)
  func beginFetching(_ slot: Slot) {
    guard let first = slot.head, let second = Chunk.next(of: first) else { return }
    Chunk.prefetch(second)
    nodes.prefetch(slot.entries(of: first))
    if let third = Chunk.next(of: second) { Chunk.prefetch(third) }
  }

  /// Has the processor fetch what is needed after `chunk`: the nodes of the chunk behind it, which has come by now, and
  /// the chunk two behind that. A chain's nodes lie anywhere; asked for one by one each would be waited for.
  @inline(__always)
  func fetchBehind(_ chunk: UnsafeMutableRawPointer, _ slot: Slot) {
    guard let next = Chunk.next(of: chunk) else { return }
    if let afterNext = Chunk.next(of: next), let third = Chunk.next(of: afterNext) { Chunk.prefetch(third) }
    nodes.prefetch(slot.entries(of: next))
  }

  /// Moves the entries of a detached slot's chunk that still wait to its front and gives their number. A slot without
  /// dead ones, as those that demotion has filled mostly are, is taken as it is: no node need be read.
  @inline(__always)
  private func keepWaiting(_ chunk: UnsafeMutableRawPointer, _ slot: Slot) -> Int {
    let entries = slot.entries(of: chunk)
    return slot.dead == 0 ? entries.count : nodes.keepWaiting(entries)
  }
}
