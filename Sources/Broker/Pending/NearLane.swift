// A lane: the pending messages in memory of a part of the topics, with a timing wheel and a due queue of their own. Lanes wait for
// each other in nothing, so a million messages of one topic that are due in one millisecond hold back the topics of their own lane
// at most.
//
// Holds: a message has a timer, or is due. What is due stands in `due`, in order, once the wheel has handed over all of its tick,
// and in `arriving` before. An element of either may be stale: its slot is free then or has another message, which the
// sequence tells.
// Leaves to others: the messages themselves (PendingSlab), how much each lane releases in a turn (NearMessages).
//
// Why whole ticks: within a millisecond messages leave in the order of acceptance. The wheel hands over in the order of insertion,
// and messages that came from a slice were inserted behind younger ones, so the order is known when the last one is there.

import Primitives
import TimingWheel

/// Which topics share a lane.
enum Lane {
  /// How many lanes there are. The journal names lanes, so this cannot change.
  static let count = 64

  static func of(topic: UInt32) -> Int { Int(topic % UInt32(count)) }
}

/// The pending messages in memory of one lane. Part of `NearMessages`.
struct NearLane: ~Copyable {
  private var wheel: TimingWheel
  private let slotOfTimer = PagedArray<UInt32>(filler: .max)
  private var due = DueQueue()
  private var arriving = DueQueue()

  init(tickMs: Int64, wheelSize: Int, startMs: UnixMs) {
    wheel = TimingWheel(tickMs: tickMs, wheelSize: wheelSize, startMs: startMs)
  }

  /// Everything due by then has left the wheel, but perhaps for a part of its last tick.
  var currentTimeMs: UnixMs { wheel.currentTimeMs }
  /// Everything due by then stands in the due queue.
  var completedTimeMs: UnixMs { wheel.completedTimeMs }
  /// When the next message is due; nil for never.
  var nextWakeUpMs: UnixMs? { wheel.nextWakeUpMs }
  var levelSnapshots: [LevelSnapshot] { wheel.levelSnapshots }

  /// Messages that are due.
  var dueCount: Int { due.count + arriving.count }
  /// Those that may be released: what stands behind `bound` waits for messages that are spilled.
  @inline(__always) func releasableCount(_ bound: Watermark?) -> Int { due.count(inFrontOf: bound) }
  /// Whether there may be such ones, now or when the rest of the tick has come.
  @inline(__always) func hasDue(_ bound: Watermark?) -> Bool { !arriving.isEmpty || due.hasAny(inFrontOf: bound) }
  /// No message that is due has a later time than this; of a tick that arrives in parts, none has a later one than its end.
  var lastDueMs: UnixMs? { arriving.isEmpty ? due.lastDueMs : wheel.currentTimeMs }

  // MARK: Coming and going

  /// Starts the timer of a message.
  mutating func startTimer(_ slot: UInt32, _ message: UnsafeMutablePointer<PendingMessage>) {
    let dueMs = message.pointee.dueMs
    if dueMs <= wheel.completedTimeMs {
      due.append(DueMessage(dueMs: dueMs, sequence: message.pointee.sequence, index: slot))
    } else {
      let timer = wheel.insert(dueMs: dueMs)
      slotOfTimer.grow(to: Int(timer.index) + 1)
      slotOfTimer[timer.index] = slot
      message.pointee.timer = timer
    }
  }

  mutating func stopTimer(_ timer: TimerID) { _ = wheel.cancel(timer) }

  func slot(of timer: TimerID) -> UInt32 { slotOfTimer[timer.index] }

  /// Moves what is due by `limitMs` from the wheel to the due queue and puts that in order; about `limit` messages at most.
  mutating func takeExpired(
    toMs limitMs: UnixMs, limit: Int, _ slab: PendingSlab, using expired: inout ExpiredTimers
  ) {
    expired.removeAll()
    wheel.advance(to: limitMs, limit: limit, into: &expired)
    let completedMs = wheel.completedTimeMs
    if !arriving.isEmpty, arriving.lastDueMs ?? 0 <= completedMs { due.append(arriving: &arriving) }
    if expired.count > 1024 { due.reserve(expired.count) }
    for position in 0..<expired.count {
      if position + 8 < expired.count { prefetch(slab[slotOfTimer[expired[position + 8].id.index]]) }
      let slot = slotOfTimer[expired[position].id.index]
      let message = slab[slot]
      message.pointee.timer = .none
      let element = DueMessage(dueMs: message.pointee.dueMs, sequence: message.pointee.sequence, index: slot)
      if element.dueMs <= completedMs { due.append(element) } else { arriving.append(element) }
    }
    if !due.isEmpty { due.sort() }
  }

  // MARK: Releasing

  /// The last of the first `limit` messages that may be released, all of them in front of `bound`; nil when none may. Stale elements
  /// in front of the others go.
  mutating func lastDue(limit: Int, bound: Watermark?, _ slab: PendingSlab) -> Watermark? {
    let count = min(limit, releasableCount(bound))
    var position = count
    while position > 0 {
      position -= 1
      guard let next = due.ahead(position) else { break }
      if Self.isPending(next, slab) { return Watermark(dueMs: next.dueMs, sequence: next.sequence) }
    }
    for _ in 0..<count { due.removeFirst() }
    return nil
  }

  /// Whether a release through `planned`, or of nothing, leaves no message that is due at `reachedMs`.
  func isComplete(behind planned: Watermark?, throughMs reachedMs: UnixMs, bound: Watermark?) -> Bool {
    guard arriving.isEmpty, wheel.completedTimeMs >= reachedMs, bound?.dueMs ?? .max > reachedMs else { return false }
    guard let last = due.last else { return true }
    return planned.map { $0 >= Watermark(dueMs: last.dueMs, sequence: last.sequence) } ?? false
  }

  /// Takes the next message out of the due queue if it stands at or in front of `limit`. It keeps its slot.
  @inline(__always)
  mutating func takeDue(through limit: Watermark, _ slab: PendingSlab) -> UInt32? {
    while let next = due.first, Watermark(dueMs: next.dueMs, sequence: next.sequence) <= limit {
      due.removeFirst()
      prefetchNext(slab)
      if Self.isPending(next, slab) { return next.index }
    }
    return nil
  }

  @inline(__always)
  private static func isPending(_ element: DueMessage, _ slab: PendingSlab) -> Bool {
    let message = slab[element.index]
    return message.pointee.record != nil && message.pointee.sequence == element.sequence
  }

  /// Prefetches what the next messages to be released will need: the slot of one, and the record of an earlier one, whose
  /// slot is in the cache by now.
  @inline(__always)
  private func prefetchNext(_ slab: PendingSlab) {
    if let later = due.ahead(16) { prefetch(slab[later.index]) }
    guard let soon = due.ahead(8), let record = slab[soon.index].pointee.record else { return }
    for line in 0..<4 { prefetch(record + line * 64) }
  }

  // MARK: Invariants

  /// Calls `body` for each message that is due.
  func forEachDue(_ slab: PendingSlab, _ body: (UInt32) -> Void) {
    for queue in [due, arriving] {
      for position in 0..<queue.count {
        guard let element = queue.ahead(position) else { break }
        if Self.isPending(element, slab) { body(element.index) }
      }
    }
  }
}
