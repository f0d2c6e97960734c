// What a timer is called and what it consists of: the types that owners of a wheel keep.
//
// Holds: a `TimerID` names one timer for ever. Its index is used again by later timers, its generation never with it.
// Leaves to others: what a timer means (its owner, in arrays of its own that run parallel by `index`).

/// The name of one timer of one wheel.
///
/// `index` is dense (0, 1, 2, …, at most the largest number of timers that ever waited together) and used again, so
/// that an owner can keep what belongs to a timer in arrays by `index`. `generation` tells apart those that shared it.
public struct TimerID: Hashable, Sendable, BitwiseCopyable {
  /// The timer's place in the wheel's node slab and in its owner's parallel arrays.
  public let index: UInt32
  /// Which user of that place this is; odd for every timer there ever was.
  public let generation: UInt32

  /// Makes an ID from its parts, for owners that stored them. A made-up ID is merely unknown to the wheel.
  @inlinable public init(index: UInt32, generation: UInt32) {
    self.index = index
    self.generation = generation
  }
}

/// A timer as it lies in a slot and as it is handed over: 16 bytes, copied as they are on the way.
@frozen
public struct TimerEntry: Hashable, Sendable {
  /// The due time it was inserted with, in Unix ms, unrounded.
  public let dueMs: Int64
  /// The timer.
  public let id: TimerID

  @inlinable init(dueMs: Int64, id: TimerID) {
    self.dueMs = dueMs
    self.id = id
  }
}

/// Where a waiting timer lies.
public struct TimerLocation: Hashable, Sendable {
  /// The level, 1 being the finest; 0 for a timer that is due now and leaves with the next `advance`.
  public let level: Int
  /// The slot in that level, `0 ..< wheelSize`.
  public let slot: Int

  /// Makes a location to compare with.
  public init(level: Int, slot: Int) {
    self.level = level
    self.slot = slot
  }
}
