// A hierarchical timing wheel: timers by due time, with insert, cancel and expiry in constant time each.
//
// Level 1 has `wheelSize` slots of one tick; a slot of each further level is as long as the whole level below. A timer
// lies in the finest level whose window still covers its due time, in the slot `(due / slot length) mod wheelSize`.
// When time reaches the start of a coarse slot its timers are demoted: they move to the finer levels, in order. An
// occupancy bitmap for each level finds the next occupied slot, so that empty time costs nothing however long it is.
//
//   tick 1 ms, 20 slots, at 0:   350 → level 2 slot 17 [340, 360)        450 → level 3 slot 1 [400, 800)
//                        at 400: 450 → level 2 slot 2 [440, 460)         at 440: → level 1 slot 10      at 450: fires
//
// Order: timers of one tick leave in the order of insertion, without sequence numbers. Windows slide, so an older timer
// may still lie in a coarser slot than the one where a new timer of the same tick would go by Kafka's rule. A new timer
// therefore joins the coarsest occupied slot that covers its tick, if that is coarser than Kafka's. Why this suffices:
//   1. Of two timers of one tick in different levels, the one in the finer level is the older: had the other been there
//      first, its slot would have been occupied and the newer would have joined it.
//   2. Slots of several levels that start at the same time T are emptied from the finest up, so the older go first.
//   3. T is aligned to every level up to the emptied one, so a timer from there goes where Kafka's rule puts it, and a
//      slot between the two levels that covers its tick would start at or before T: it has been emptied already. No
//      timer is thus left behind in a level that it passes, and 1 holds again.
//
// Holds: nothing fires before its due time: due times are rounded up to ticks, the current time down. All slots that
// start at or before the current time are empty, but for the finest level's while its tick is handed over in parts. An occupied slot has at least one timer that still waits.
// Leaves to others: the clock (the caller), threads (one at a time), what a timer means (its owner).
//
// Source: Varghese & Lauck 1987, scheme 7; windows and demotion as in Kafka's purgatory timer.

/// A hierarchical timing wheel. Times are Unix milliseconds; the whole range of `Int64` is allowed.
public struct TimingWheel: ~Copyable {
  /// The largest number of slots a level can have.
  public static let wheelSizeMax = 1 << 20

  /// The length of a tick, the precision of the wheel.
  public let tickMs: Int64
  /// The number of slots of each level.
  public let wheelSize: Int
  /// How many timers wait, those due now included.
  @inlinable public var count: Int { waitingCount }

  /// Slots emptied by `advance` so far: what advancing costs apart from the timers themselves.
  package internal(set) var slotsVisited = 0

  @usableFromInline var waitingCount = 0
  /// The current time in ticks.
  @usableFromInline var nowTick: UInt64
  /// No timer fires before this tick, no slot is demoted before the other: while time stays below both, advancing is
  /// an assignment. Lower bounds, made exact when they are reached; cancelling leaves them as they are.
  @usableFromInline var fireTickBound = UInt64.max
  @usableFromInline var demotionTickBound = UInt64.max
  /// log2(wheelSize) when that is whole, so that shifts replace divisions; otherwise nil.
  @usableFromInline let wheelSizeShift: UInt64?
  /// `levels[0]` is the list of timers due now: one slot, no window. The levels proper start at 1.
  @usableFromInline let levels: UnsafeMutablePointer<WheelLevel>
  @usableFromInline var topLevel = 0
  /// Bit l is set when level l has an occupied slot.
  @usableFromInline var occupiedLevels: UInt64 = 0
  /// The slots of all levels, one level after the other.
  @usableFromInline var slots: UnsafeMutablePointer<Slot>
  @usableFromInline var chunks: ChunkPool
  @usableFromInline var nodes: TimerNodes

  /// Makes an empty wheel with its first level; coarser levels come when first needed.
  ///
  /// - Parameters:
  ///   - tickMs: at least 1. Timers fire at multiples of it.
  ///   - wheelSize: slots of a level, 2 ... `wheelSizeMax`; 32 bytes each. A power of two is faster by a few ns.
  ///   - startMs: the current time to start with, at least 0; rounded down to a tick.
  public init(tickMs: Int64, wheelSize: Int, startMs: Int64) {
    self.init(tickMs: tickMs, wheelSize: wheelSize, startMs: startMs, firstGeneration: 1)
  }

  init(tickMs: Int64, wheelSize: Int, startMs: Int64, firstGeneration: UInt32) {
    precondition(tickMs >= 1, "tickMs is at least 1")
    precondition(wheelSize >= 2 && wheelSize <= Self.wheelSizeMax, "wheelSize is 2 to \(Self.wheelSizeMax)")
    precondition(startMs >= 0, "startMs is not negative")
    self.tickMs = tickMs
    self.wheelSize = wheelSize
    nowTick = UInt64(startMs / tickMs)
    wheelSizeShift = wheelSize.nonzeroBitCount == 1 ? UInt64(wheelSize.trailingZeroBitCount) : nil
    levels = .allocate(capacity: WheelLevel.countMax)
    levels.initialize(to: WheelLevel(ticksPerSlot: 1, shift: 0, firstSlot: 0, slotCount: 1))
    slots = .allocate(capacity: 1)
    slots.initialize(to: Slot())
    chunks = ChunkPool()
    nodes = TimerNodes(firstGeneration: firstGeneration)
    addLevel()
  }

  deinit {
    for level in 0...topLevel { levels[level].occupied.deallocate() }
    levels.deallocate()
    slots.deallocate()
    chunks.deallocate()
    nodes.deallocate()
  }

  /// The current time: the last tick that `advance` reached.
  @inlinable public var currentTimeMs: Int64 { ms(ofTick: nowTick) }

  /// The time by which everything due has been handed over, but for what was inserted as due already: the current time or, when a
  /// limit has stopped `advance` within its tick, one tick less.
  public var completedTimeMs: Int64 { isWithinTick ? ms(ofTick: nowTick &- 1) : currentTimeMs }

  /// Whether timers of the current tick have still to be handed over; all others in its slot have been.
  @usableFromInline var isWithinTick: Bool { levels[1].occupied.contains(slot(nowTick)) }
}

/// One level of the wheel.
@frozen @usableFromInline
struct WheelLevel {
  /// Ticks are below 2^63 and a level has at least two slots: 63 levels, and the list of timers due now.
  static let countMax = 64

  @usableFromInline let ticksPerSlot: UInt64
  /// log2(ticksPerSlot) when the wheel size is a power of two.
  @usableFromInline let shift: UInt64
  /// The place of slot 0 in the wheel's slot table.
  @usableFromInline let firstSlot: Int
  @usableFromInline let occupied: OccupancyBitmap

  init(ticksPerSlot: UInt64, shift: UInt64, firstSlot: Int, slotCount: Int) {
    self.ticksPerSlot = ticksPerSlot
    self.shift = shift
    self.firstSlot = firstSlot
    occupied = OccupancyBitmap(bitCount: slotCount)
  }
}

// MARK: - Times, ticks and slots

extension TimingWheel {
  /// The tick at which a timer fires: its due time rounded up, so that it is never early.
  @inlinable @inline(__always)
  func fireTick(dueMs: Int64) -> UInt64 {
    guard dueMs > 0 else { return 0 }
    if tickMs == 1 { return UInt64(bitPattern: dueMs) }
    let due = UInt64(bitPattern: dueMs)
    let tick = UInt64(bitPattern: tickMs)
    let whole = due / tick
    return due &- whole &* tick == 0 ? whole : whole &+ 1
  }

  /// The last tick reached at `nowMs`. The end of the number range completes even a tick that reaches beyond it.
  @inlinable @inline(__always)
  func reachedTick(nowMs: Int64) -> UInt64 {
    guard nowMs > 0 else { return 0 }
    if tickMs == 1 { return UInt64(bitPattern: nowMs) }
    return nowMs == .max ? fireTick(dueMs: nowMs) : UInt64(nowMs / tickMs)
  }

  /// The start of a tick, `Int64.max` when it is beyond that. A tick is at most ⌈Int64.max / tickMs⌉, so the product
  /// is below 2^64.
  @inlinable @inline(__always)
  func ms(ofTick tick: UInt64) -> Int64 { Int64(clamping: tick &* UInt64(bitPattern: tickMs)) }

  /// `tick` in slots of `level`, counted from the beginning of time.
  @inlinable @inline(__always)
  func slotNumber(_ tick: UInt64, _ level: Int) -> UInt64 {
    slotNumber(tick, level, byShift: wheelSizeShift != nil)
  }

  /// The slot in its level of a slot counted from the beginning of time.
  @inlinable @inline(__always)
  func slot(_ number: UInt64) -> Int { slot(number, byShift: wheelSizeShift != nil) }

  /// The same with the choice between shift and division made by the caller, once for several.
  @inlinable @inline(__always)
  func slotNumber(_ tick: UInt64, _ level: Int, byShift: Bool) -> UInt64 {
    byShift ? tick &>> levels[level].shift : tick / levels[level].ticksPerSlot
  }

  @inlinable @inline(__always)
  func slot(_ number: UInt64, byShift: Bool) -> Int {
    let size = UInt64(truncatingIfNeeded: wheelSize)
    return Int(truncatingIfNeeded: byShift ? number & (size &- 1) : number % size)
  }

  /// Adds the overflow level above the present top.
  @usableFromInline
  mutating func addLevel() {
    let below = levels[topLevel]
    let isFirst = topLevel == 0
    let slotCount = 1 + topLevel * wheelSize
    let newSlots = UnsafeMutablePointer<Slot>.allocate(capacity: slotCount + wheelSize)
    newSlots.moveInitialize(from: slots, count: slotCount)
    (newSlots + slotCount).initialize(repeating: Slot(), count: wheelSize)
    slots.deallocate()
    slots = newSlots
    topLevel += 1
    let level = WheelLevel(
      ticksPerSlot: isFirst ? 1 : below.ticksPerSlot * UInt64(wheelSize),
      shift: isFirst ? 0 : below.shift + (wheelSizeShift ?? 0),
      firstSlot: slotCount, slotCount: wheelSize)
    (levels + topLevel).initialize(to: level)
  }

  /// Makes a slot empty after its chain was taken away.
  mutating func clear(_ level: Int, _ slot: Int) {
    slots[levels[level].firstSlot + slot] = Slot()
    levels[level].occupied.remove(slot)
    if levels[level].occupied.isEmpty { occupiedLevels &= ~(1 &<< UInt64(level)) }
  }
}
