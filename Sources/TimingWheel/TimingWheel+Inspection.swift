// Looking into the wheel: when it has work, and what lies where.
//
// Holds: nothing here changes the wheel.
// Leaves to others: the form in which people see it (the admin operation `wheel`).

extension TimingWheel {
  /// The earliest time at which `advance` has something to do: hand over or demote. Nil when no timer waits; the current
  /// time when some are due now.
  ///
  /// Advancing exactly to this time, again and again, does all the work and wakes for nothing else.
  /// - Complexity: O(levels).
  public var nextWakeUpMs: Int64? {
    guard count > 0 else { return nil }
    return ms(ofTick: isDueNow ? nowTick : nextTick(fromLevel: 1))
  }

  /// The exact time at which the next timer is handed over: the earliest due time, rounded up to a tick, or the current
  /// time when some are due now. Nil when no timer waits.
  ///
  /// - Complexity: O(levels + entries of the first occupied slot of each level that starts before the answer).
  public var nextDueMs: Int64? {
    guard count > 0 else { return nil }
    guard !isDueNow else { return currentTimeMs }
    var earliest = UInt64.max
    for level in 1...topLevel {
      let start = nextTickOfLevel(level)
      // All of a slot is due at or after its start.
      if start < earliest { earliest = min(earliest, earliestTick(level, slot(slotNumber(start, level)))) }
    }
    return ms(ofTick: earliest)
  }

  /// Where a timer lies now; nil when it does not wait.
  public func location(of id: TimerID) -> TimerLocation? {
    guard nodes.isWaiting(id) else { return nil }
    let (level, slot) = levelAndSlot(nodes.node(id.index).pointee.location)
    return TimerLocation(level: level, slot: slot)
  }

  /// Whether timers are due at the current time.
  private var isDueNow: Bool { occupiedLevels & 1 != 0 || isWithinTick }

  /// How many timers are due now and leave with the next `advance`. They are in no level.
  public var dueNowCount: Int { slots[0].count - slots[0].dead }

  /// The levels there are, the finest first.
  /// - Complexity: O(levels × (wheelSize / 64 + occupied slots)).
  public var levelSnapshots: [LevelSnapshot] {
    (1...topLevel).map { level in
      let layout = levels[level]
      var occupied: [LevelSnapshot.OccupiedSlot] = []
      var next = layout.occupied.first(from: 0)
      while let slot = next {
        let contents = slots[layout.firstSlot + slot]
        occupied.append(.init(slot: slot, liveCount: contents.count - contents.dead))
        next = layout.occupied.first(from: slot + 1)
      }
      let slotMs = saturatingProduct(layout.ticksPerSlot, UInt64(tickMs))
      return LevelSnapshot(
        level: level, tickMs: Int64(clamping: slotMs),
        intervalMs: Int64(clamping: saturatingProduct(slotMs, UInt64(wheelSize))), occupiedSlots: occupied)
    }
  }

  /// Memory taken for timers, in bytes: entries and nodes. It serves later timers; the system gets it back with the wheel.
  public var reservedBytes: Int { chunks.reservedBytes + nodes.reservedBytes }

  private func earliestTick(_ level: Int, _ slot: Int) -> UInt64 {
    let contents = slots[levels[level].firstSlot + slot]
    var earliest = UInt64.max
    var rest = contents.head
    while let chunk = rest {
      for entry in contents.entries(of: chunk) where nodes.isWaiting(entry.id) {
        earliest = min(earliest, fireTick(dueMs: entry.dueMs))
      }
      rest = Chunk.next(of: chunk)
    }
    return earliest
  }

  private func saturatingProduct(_ left: UInt64, _ right: UInt64) -> UInt64 {
    let (product, overflow) = left.multipliedReportingOverflow(by: right)
    return overflow ? .max : product
  }
}

/// One level of a wheel as it is at a moment.
public struct LevelSnapshot: Hashable, Sendable {
  /// A slot with timers in it.
  public struct OccupiedSlot: Hashable, Sendable {
    /// The slot, `0 ..< wheelSize`.
    public let slot: Int
    /// How many timers wait in it; at least 1.
    public let liveCount: Int
  }

  /// 1 is the finest level.
  public let level: Int
  /// The length of one of its slots; `Int64.max` when it is longer.
  public let tickMs: Int64
  /// The length of the whole level; `Int64.max` when it is longer.
  public let intervalMs: Int64
  /// The slots that hold timers, ascending.
  public let occupiedSlots: [OccupiedSlot]

  /// What two wheels of one shape have in a level, taken together.
  public static func + (left: LevelSnapshot, right: LevelSnapshot) -> LevelSnapshot {
    var counts = Dictionary(uniqueKeysWithValues: left.occupiedSlots.map { ($0.slot, $0.liveCount) })
    for occupied in right.occupiedSlots { counts[occupied.slot, default: 0] += occupied.liveCount }
    let slots = counts.sorted { $0.key < $1.key }.map { OccupiedSlot(slot: $0.key, liveCount: $0.value) }
    return LevelSnapshot(level: left.level, tickMs: left.tickMs, intervalMs: left.intervalMs, occupiedSlots: slots)
  }

  /// How many timers wait in this level.
  public var pending: Int { occupiedSlots.reduce(0) { $0 + $1.liveCount } }
}
