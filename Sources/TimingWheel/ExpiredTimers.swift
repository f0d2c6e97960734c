// The buffer that `TimingWheel.advance` fills: timers handed over, in the order in which they leave.
//
// Holds: `count` initialised entries in one block of raw memory, kept from one advance to the next.
// Leaves to others: when to empty it (its owner, once it has acted on what is inside).

/// A reusable list of timers that left a wheel, oldest first.
public struct ExpiredTimers: ~Copyable {
  @usableFromInline var entries: UnsafeMutablePointer<TimerEntry>
  @usableFromInline var capacity: Int

  /// How many timers it holds.
  public internal(set) var count = 0

  /// Makes an empty buffer with room for `capacity` timers of 16 bytes; it grows by doubling.
  public init(capacity: Int = 256) {
    self.capacity = max(capacity, 1)
    entries = .allocate(capacity: self.capacity)
  }

  deinit { entries.deallocate() }

  /// Whether it holds none.
  @inlinable public var isEmpty: Bool { count == 0 }

  /// The timer at `position`, `0 ..< count`.
  @inlinable public subscript(position: Int) -> TimerEntry {
    precondition(position >= 0 && position < count, "position is outside the expired timers")
    return entries[position]
  }

  /// Forgets all timers; with `keepingCapacity` the memory stays for the next advance.
  public mutating func removeAll(keepingCapacity: Bool = true) {
    count = 0
    if !keepingCapacity {
      entries.deallocate()
      capacity = 1
      entries = .allocate(capacity: 1)
    }
  }

  /// Makes room for `more` further timers and gives the place where the next one goes.
  mutating func reserve(_ more: Int) -> UnsafeMutablePointer<TimerEntry> {
    if capacity &- count < more { grow(toHold: count + more) }
    return entries + count
  }

  @inline(never)
  private mutating func grow(toHold needed: Int) {
    let newCapacity = max(needed, capacity * 2)
    let newEntries = UnsafeMutablePointer<TimerEntry>.allocate(capacity: newCapacity)
    newEntries.moveInitialize(from: entries, count: count)
    entries.deallocate()
    entries = newEntries
    capacity = newCapacity
  }
}
