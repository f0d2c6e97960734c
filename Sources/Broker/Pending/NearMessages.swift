// The pending messages in memory: slots for them, and lanes that say when each is due and in which order they leave.
//
// Holds: a message has a timer in its lane, or is due there, or has been released and waits to be retired. What is spilled lies on disk
// and is known by a reference; nothing of a lane is released that stands behind what is spilled there.
// Leaves to others: where a message is found by id (PendingIndex), what happens to it when it is due (Pending).
//
// No exclusivity checks on what every message touches: one thread owns it, and the checks took 13 % of a burst's time.

import DelayStore
import Primitives
import TimingWheel

/// Pending messages in memory. Part of the room `Pending`.
struct NearMessages: ~Copyable {
  private let slab = PendingSlab()
  /// Those of `usedLanes` are initialised.
  private let lanes = UnsafeMutablePointer<NearLane>.allocate(capacity: Lane.count)
  private var usedLanes = LaneSet()
  // Replay has wheels of the finest resolution: watermarks are whole milliseconds, whatever the tick is.
  private var tickMs: Int64 = 1
  private var wheelSize = 512
  /// The time to which the wheels were last moved.
  private(set) var reachedMs: UnixMs = 0
  private var expired = ExpiredTimers()
  private var spills = Spills()
  /// Slots of messages without a copy on disk, for the next checkpoint; some have been freed since.
  private var uncopied = Fifo<UInt32>(keptMax: 1 << 16)

  deinit { Self.end(lanes, usedLanes, isFreed: true) }

  private static func end(_ lanes: UnsafeMutablePointer<NearLane>, _ used: LaneSet, isFreed: Bool) {
    for lane in used { (lanes + lane).deinitialize(count: 1) }
    if isFreed { lanes.deallocate() }
  }

  /// Bytes of the messages.
  var recordBytes: Int { slab.recordBytes }

  /// About how much memory they take: each has its block, a slot and a timer.
  @inline(__always) var memoryBytes: Int { slab.blockBytes + slab.count * 112 }

  /// When the next message is due; nil for never.
  var nextWakeUpMs: UnixMs? {
    var next: UnixMs?
    for lane in usedLanes {
      if let wakeMs = lanes[lane].nextWakeUpMs, wakeMs < next ?? .max { next = wakeMs }
    }
    return next
  }

  /// The levels of all lanes together.
  var levelSnapshots: [LevelSnapshot] {
    guard !usedLanes.isEmpty else {
      return TimingWheel(tickMs: tickMs, wheelSize: wheelSize, startMs: reachedMs).levelSnapshots
    }
    var levels: [LevelSnapshot] = []
    for lane in usedLanes {
      for (place, level) in lanes[lane].levelSnapshots.enumerated() {
        if place < levels.count { levels[place] = levels[place] + level } else { levels.append(level) }
      }
    }
    return levels
  }

  /// A message; the pointer is good as long as the message is there.
  @inline(__always) subscript(slot: UInt32) -> UnsafeMutablePointer<PendingMessage> { slab[slot] }

  /// Calls `body` for every message, in no order.
  func forEach(_ body: (UInt32, UnsafeMutablePointer<PendingMessage>) -> Void) { slab.forEach(body) }

  // MARK: Coming and going

  /// Takes a copy of a message and starts its timer; gives its slot.
  mutating func insert(copyOf record: MessageRecord, leaveMs: UnixMs, hash: IDHash) -> UInt32 {
    let slot = slab.insert(copyOf: record)
    let message = slab[slot]
    message.pointee.sequence = record.sequence
    message.pointee.dueMs = leaveMs
    message.pointee.hash = hash
    message.pointee.topic = record.topic
    startTimer(slot, message)
    return slot
  }

  /// Takes a message out before it is released.
  mutating func withdraw(_ slot: UInt32) {
    let message = slab[slot]
    if message.pointee.timer != .none { lanes[Lane.of(topic: message.pointee.topic)].stopTimer(message.pointee.timer) }
    slab.remove(slot)
  }

  /// Frees the slot of a released message.
  mutating func free(_ slot: UInt32) { slab.remove(slot) }

  private mutating func startTimer(_ slot: UInt32, _ message: UnsafeMutablePointer<PendingMessage>) {
    let lane = Lane.of(topic: message.pointee.topic)
    if !usedLanes.contains(lane) { begin(lane) }
    lanes[lane].startTimer(slot, message)
  }

  private mutating func begin(_ lane: Int) {
    (lanes + lane).initialize(to: NearLane(tickMs: tickMs, wheelSize: wheelSize, startMs: reachedMs))
    usedLanes.insert(lane)
  }

  /// Begins with empty wheels of this shape, and puts every message into its own.
  mutating func restart(tickMs: Int64, wheelSize: Int, startMs: UnixMs) {
    Self.end(lanes, usedLanes, isFreed: false)
    usedLanes = LaneSet()
    self.tickMs = tickMs
    self.wheelSize = wheelSize
    reachedMs = startMs
    for lane in spills.lanes { begin(lane) }
    // In the order of acceptance, which is the order that the wheel keeps within a millisecond.
    var waiting: [(sequence: Sequence, slot: UInt32)] = []
    slab.forEach { slot, message in
      message.pointee.timer = .none
      waiting.append((message.pointee.sequence, slot))
    }
    waiting.sort { $0.sequence < $1.sequence }
    for (_, slot) in waiting { startTimer(slot, slab[slot]) }
  }

  // MARK: What is due

  /// Messages that are due.
  var dueCount: Int {
    var count = 0
    for lane in usedLanes { count += lanes[lane].dueCount }
    return count
  }

  /// Whether messages may be released, now or when the rest of their tick has come.
  @inline(__always) var hasDue: Bool {
    for lane in usedLanes where lanes[lane].hasDue(spills.bound(lane)) { return true }
    return false
  }

  /// Until when the messages of a topic have left the wheel; perhaps not all of the last tick.
  func currentTimeMs(ofTopic topic: UInt32) -> UnixMs {
    let lane = Lane.of(topic: topic)
    // As the lane's wheel would have it, in whole ticks.
    return usedLanes.contains(lane) ? lanes[lane].currentTimeMs : reachedMs - reachedMs % tickMs
  }

  /// No message that is due in the lane of a topic has a later time than this; nil when none is due.
  func lastDueMs(ofTopic topic: UInt32) -> UnixMs? {
    let lane = Lane.of(topic: topic)
    return usedLanes.contains(lane) ? lanes[lane].lastDueMs : nil
  }

  /// Everything due before this has been released.
  ///
  /// - Parameter watermarks: how far the release has come.
  func releasedMs(_ watermarks: Watermarks) -> UnixMs {
    var leastMs = reachedMs
    for lane in usedLanes {
      leastMs = min(
        leastMs, lanes[lane].dueCount > 0 ? watermarks.reached(lane: lane).dueMs : lanes[lane].completedTimeMs)
    }
    for lane in spills.lanes { leastMs = min(leastMs, spills.bound(lane)?.dueMs ?? .max) }
    return leastMs
  }

  /// Moves what is due by `limitMs` from the wheels to the due queues and puts those in order; about `limit` messages at most,
  /// and some of each lane.
  mutating func takeExpired(toMs limitMs: UnixMs, limit: Int) {
    guard limitMs >= reachedMs else { return }
    reachedMs = limitMs
    var remaining = limit
    for lane in usedLanes {
      lanes[lane].takeExpired(toMs: limitMs, limit: max(remaining, 256), slab, using: &expired)
      remaining -= expired.count
    }
  }

  /// Decides how far each lane's release comes in this turn: `limit` messages in all, shared among the lanes in which some are
  /// due. Nil when none may be released.
  mutating func planRelease(limit: Int, after before: Watermarks) -> Watermarks? {
    var waiting = LaneSet()
    for lane in usedLanes where lanes[lane].releasableCount(spills.bound(lane)) > 0 { waiting.insert(lane) }
    if waiting.isEmpty { return nil }
    // Those that have little due release it all, the others share the rest.
    let fairCount = max(1, limit / waiting.count)
    var many = LaneSet()
    var remaining = limit
    for lane in waiting {
      let count = lanes[lane].releasableCount(spills.bound(lane))
      if count > fairCount { many.insert(lane) } else { remaining -= count }
    }
    let share = many.isEmpty ? fairCount : max(1, remaining / many.count)
    var through = before.overall
    var planned: [(lane: Int, through: Watermark)] = []
    for lane in waiting {
      let limit = many.contains(lane) ? share : fairCount
      guard let last = lanes[lane].lastDue(limit: limit, bound: spills.bound(lane), slab) else { continue }
      planned.append((lane, last))
      through = max(through, last)
    }
    if planned.isEmpty { return nil }
    return Watermarks(overall: through, behind: lanesBehind(through, planned, before))
  }

  /// The lanes that do not reach `through` with a release as it is planned, and how far they come.
  private func lanesBehind(
    _ through: Watermark, _ planned: [(lane: Int, through: Watermark)], _ before: Watermarks
  ) -> [LaneWatermark] {
    var behind: [LaneWatermark] = []
    var next = 0
    for lane in usedLanes {
      var reached: Watermark?
      if next < planned.count, planned[next].lane == lane {
        reached = planned[next].through
        next += 1
      }
      if lanes[lane].isComplete(behind: reached, throughMs: through.dueMs, bound: spills.bound(lane)) { continue }
      behind.append(LaneWatermark(lane: lane, reached: reached ?? before.reached(lane: lane)))
    }
    return behind
  }

  /// Lanes with messages that may be released.
  var releasableLanes: LaneSet {
    var waiting = LaneSet()
    for lane in usedLanes where lanes[lane].releasableCount(spills.bound(lane)) > 0 { waiting.insert(lane) }
    return waiting
  }

  /// Takes the next message of a lane out of its due queue if it stands at or in front of `limit`. It keeps its slot.
  @inline(__always)
  mutating func takeDue(_ lane: Int, through limit: Watermark) -> UInt32? { lanes[lane].takeDue(through: limit, slab) }

  // MARK: What is spilled

  /// References to spilled messages, those of cancelled ones among them.
  var spilledCount: Int { spills.count }
  /// Lanes with spilled messages.
  var spilledLanes: LaneSet { spills.lanes }

  /// Everything in a lane that is spilled, or on its way back, stands here or behind it; nil when there is nothing.
  func spillBound(_ lane: Int) -> Watermark? { spills.bound(lane) }

  /// Whether a part of a lane is being read.
  func isOnTheWay(_ lane: Int) -> Bool { spills.isOnTheWay(lane) }

  /// Notes a message that has no room in memory.
  mutating func noteSpilled(_ message: SpilledMessage, topic: UInt32) {
    let lane = Lane.of(topic: topic)
    if !usedLanes.contains(lane) { begin(lane) }
    spills.append(message, lane)
  }

  /// From when on the next part of a lane may be brought back; nil when another turn must come first. With memory short, a lane
  /// has two parts in memory, one that leaves and one that is next, so that none waits for another one's messages to go.
  func bringBackMs(_ lane: Int, leadMs: Int64, isShort: Bool) -> UnixMs? {
    guard let next = spills.next(lane) else { return nil }
    if !isShort { return next.dueMs - leadMs }
    return lanes[lane].hasDue(spills.bound(lane)) ? nil : max(next.dueMs - leadMs, next.broughtBeforeDueMs)
  }

  /// Takes the next part of a lane, to be read; see `SpillQueue.takePart`. Empty when one is on its way.
  mutating func takeSpilled(
    _ lane: Int, bytesMax: Int, sliceMs: Int64, through limit: Watermark
  ) -> [SpilledMessage] {
    spills.takePart(lane, bytesMax: bytesMax, sliceMs: sliceMs, through: limit)
  }

  /// The part that was taken has come.
  mutating func noteBroughtBack(_ lane: Int) { spills.noteBroughtBack(lane) }

  /// Calls `body` with every reference that is not on its way, in no order.
  func forEachSpilled(_ body: (SpilledMessage) -> Void) { spills.forEach(body) }

  // MARK: Copies for checkpoints

  var uncopiedCount: Int { uncopied.count }

  /// Notes that the message has no copy on disk.
  mutating func noteUncopied(_ slot: UInt32) { uncopied.append(slot) }

  /// The next slot that may hold a message without a copy.
  mutating func takeUncopied() -> UInt32 {
    if let later = uncopied.ahead(16) { prefetch(slab[later]) }
    if let record = uncopied.ahead(8).flatMap({ slab[$0].pointee.record }) { prefetch(record) }
    return uncopied.removeFirst()
  }

  // MARK: Invariants

  /// Every message has a timer, or is due, or has been released. O(messages).
  func checkInvariants() {
    var dueSlots: Set<UInt32> = []
    for lane in usedLanes {
      lanes[lane].forEachDue(slab) { slot in
        precondition(dueSlots.insert(slot).inserted, "a message is due twice")
        precondition(Lane.of(topic: slab[slot].pointee.topic) == lane, "a message is due in the lane of its topic")
      }
    }
    slab.forEach { slot, message in
      let timer = message.pointee.timer
      let isDue = dueSlots.contains(slot)
      if timer == .none {
        precondition(isDue, "a message has no timer and is not due")
      } else if timer == PendingSlab.isReleased {
        precondition(!isDue, "a released message is due")
      } else {
        let lane = Lane.of(topic: message.pointee.topic)
        precondition(lanes[lane].slot(of: timer) == slot, "a timer stands for another message")
      }
    }
  }
}

/// Numbers of lanes, in ascending order.
struct LaneSet: Swift.Sequence, IteratorProtocol, BitwiseCopyable {
  private var bits: UInt64 = 0

  var isEmpty: Bool { bits == 0 }
  var count: Int { bits.nonzeroBitCount }
  @inline(__always) func contains(_ lane: Int) -> Bool { bits >> UInt64(lane) & 1 == 1 }
  mutating func insert(_ lane: Int) { bits |= 1 << UInt64(lane) }
  mutating func remove(_ lane: Int) { bits &= ~(1 << UInt64(lane)) }

  @inline(__always) mutating func next() -> Int? {
    guard bits != 0 else { return nil }
    defer { bits &= bits &- 1 }
    return bits.trailingZeroBitCount
  }
}
