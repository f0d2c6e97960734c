// Inserting: which slot a timer goes to, and appending it there.
//
// Holds: a new timer goes behind every older timer of its tick (see TimingWheel.swift for why).
// Leaves to others: moving timers as time passes (TimingWheel+Advance).

extension TimingWheel {
  /// Adds a timer and gives its ID.
  ///
  /// A due time at or before the current tick, negative ones included, is due now: the timer leaves with the next
  /// `advance`, in the order of insertion and before everything later.
  ///
  /// - Parameter dueMs: Unix ms. The timer fires at the first tick at or after it, never before.
  /// - Returns: an ID never given before by this wheel. Its index may be that of any timer that has been cancelled or
  ///   handed over: read what you keep by the indices of expired timers before you insert again.
  /// - Complexity: O(levels), 2 or 3 in practice.
  @inlinable
  public mutating func insert(dueMs: Int64) -> TimerID {
    let tick = fireTick(dueMs: dueMs)
    var level = 0
    var slot = 0
    if tick > nowTick {
      (level, slot) = wheelSizeShift != nil ? place(tick: tick, byShift: true) : placeByDivision(tick: tick)
    } else if tick < fireTickBound {
      fireTickBound = tick
    }
    let id = nodes.occupy(location: UInt32(truncatingIfNeeded: levels[level].firstSlot &+ slot))
    append(TimerEntry(dueMs: dueMs, id: id), level, slot)
    waitingCount &+= 1
    return id
  }

  /// The slot for a new timer of a tick after the current one; time will stop at its start.
  @inlinable @inline(__always)
  mutating func place(tick: UInt64, byShift: Bool) -> (level: Int, slot: Int) {
    // Kafka's rule: the finest level whose window covers the tick.
    var level = 1
    var number = tick
    while number &- slotNumber(nowTick, level, byShift: byShift) >= UInt64(truncatingIfNeeded: wheelSize) {
      if level == topLevel { addLevel() }
      level &+= 1
      number = slotNumber(tick, level, byShift: byShift)
    }
    var start = number &* levels[level].ticksPerSlot
    var place = (level: level, slot: slot(number, byShift: byShift))
    // Ours: a coarser slot that covers the tick and is occupied may hold older timers of the same tick; go behind them.
    // Above the first level where the tick shares its slot with the current time, all covering slots have been emptied.
    while level < topLevel {
      level &+= 1
      number = slotNumber(tick, level, byShift: byShift)
      if number == slotNumber(nowTick, level, byShift: byShift) { break }
      let candidate = slot(number, byShift: byShift)
      if levels[level].occupied.contains(candidate) {
        place = (level, candidate)
        start = number &* levels[level].ticksPerSlot
      }
    }
    if place.level == 1 {
      if start < fireTickBound { fireTickBound = start }
    } else if start < demotionTickBound {
      demotionTickBound = start
    }
    return place
  }

  /// The same for wheel sizes that are no power of two.
  @usableFromInline @inline(never)
  mutating func placeByDivision(tick: UInt64) -> (level: Int, slot: Int) { place(tick: tick, byShift: false) }

  /// Appends an entry to a slot.
  @inlinable @inline(__always)
  mutating func append(_ entry: TimerEntry, _ level: Int, _ slot: Int) {
    let place = slots + (levels[level].firstSlot &+ slot)
    var cursor = place.pointee.cursor
    if Chunk.isEnd(cursor) { cursor = extend(place, level, slot) }
    let free = cursor.unsafelyUnwrapped
    free.assumingMemoryBound(to: TimerEntry.self).initialize(to: entry)
    place.pointee.cursor = free + Chunk.entryBytes
    place.pointee.count &+= 1
  }

  /// Adds a chunk to a slot's chain and gives the place of its first entry.
  @usableFromInline
  mutating func extend(_ place: UnsafeMutablePointer<Slot>, _ level: Int, _ slot: Int) -> UnsafeMutableRawPointer {
    let chunk = chunks.take()
    if let end = place.pointee.cursor {
      Chunk.setNext(of: end - Chunk.bytes, to: chunk)
    } else {
      place.pointee.head = chunk
      levels[level].occupied.insert(slot)
      occupiedLevels |= 1 &<< UInt64(truncatingIfNeeded: level)
    }
    return chunk + Chunk.headerBytes
  }
}
