// The pending messages in memory: slots for them, a timing wheel that says when each is due, and the queue of those that are.
//
// Holds: a message has a timer, or stands in the due queue, or has been released and waits to be retired. An element of the due
// queue may be stale: its slot is free then or has another message, which the sequence tells.
// Leaves to others: where a message is found by id (PendingIndex), what happens to it when it is due (Pending).
//
// No exclusivity checks on what every message touches: one thread owns it, and the checks took 13 % of a burst's time.

import Primitives
import TimingWheel

/// Pending messages in memory. Part of the room `Pending`.
struct NearMessages: ~Copyable {
  private let slab = PendingSlab()
  // Replay has a wheel of the finest resolution: watermarks are whole milliseconds, whatever the tick is.
  private var wheel = TimingWheel(tickMs: 1, wheelSize: 512, startMs: 0)
  private let slotOfTimer = PagedArray<UInt32>(filler: .max)
  private var expired = ExpiredTimers()
  private var due = DueQueue()
  /// Slots of messages without a copy on disk, for the next checkpoint; some have been freed since.
  private var uncopied = Fifo<UInt32>(keptMax: 1 << 16)

  /// Bytes of the messages.
  var recordBytes: Int { slab.recordBytes }
  /// Everything due by then has left the wheel.
  var currentTimeMs: UnixMs { wheel.currentTimeMs }
  /// When the next message is due; nil for never.
  var nextWakeUpMs: UnixMs? { wheel.nextWakeUpMs }
  var levelSnapshots: [LevelSnapshot] { wheel.levelSnapshots }

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

  /// Takes a message out before it is due.
  mutating func withdraw(_ slot: UInt32) {
    let timer = slab[slot].pointee.timer
    if timer != .none { _ = wheel.cancel(timer) }
    slab.remove(slot)
  }

  /// Frees the slot of a released message.
  mutating func free(_ slot: UInt32) { slab.remove(slot) }

  private mutating func startTimer(_ slot: UInt32, _ message: UnsafeMutablePointer<PendingMessage>) {
    let dueMs = message.pointee.dueMs
    if dueMs <= wheel.currentTimeMs {
      due.append(DueMessage(dueMs: dueMs, sequence: message.pointee.sequence, index: slot))
    } else {
      let timer = wheel.insert(dueMs: dueMs)
      slotOfTimer.grow(to: Int(timer.index) + 1)
      slotOfTimer[timer.index] = slot
      message.pointee.timer = timer
    }
  }

  /// Begins with an empty wheel of this shape, and puts every message into it.
  mutating func restart(tickMs: Int64, wheelSize: Int, startMs: UnixMs) {
    wheel = TimingWheel(tickMs: tickMs, wheelSize: wheelSize, startMs: startMs)
    due = DueQueue()
    // In the order of acceptance, which is the order that the wheel keeps within a millisecond.
    var waiting: [(sequence: Sequence, slot: UInt32)] = []
    slab.forEach { slot, message in
      message.pointee.timer = .none
      waiting.append((message.pointee.sequence, slot))
    }
    waiting.sort { $0.sequence < $1.sequence }
    for (_, slot) in waiting { startTimer(slot, slab[slot]) }
  }

  // MARK: The due queue

  var dueCount: Int { due.count }
  @inline(__always) var hasDue: Bool { !due.isEmpty }
  /// The time of the last message that is due.
  var lastDueMs: UnixMs? { due.lastDueMs }

  /// Moves what is due by `limitMs` from the wheel to the due queue and puts that in order.
  mutating func takeExpired(toMs limitMs: UnixMs) {
    expired.removeAll()
    wheel.advance(to: limitMs, limit: 1 << 14, into: &expired)
    if expired.count > 1024 { due.reserve(expired.count) }
    for position in 0..<expired.count {
      if position + 8 < expired.count { prefetch(slab[slotOfTimer[expired[position + 8].id.index]]) }
      let slot = slotOfTimer[expired[position].id.index]
      let message = slab[slot]
      message.pointee.timer = .none
      due.append(DueMessage(dueMs: message.pointee.dueMs, sequence: message.pointee.sequence, index: slot))
    }
    if !due.isEmpty { due.sort() }
  }

  /// The last of the first `limit` messages that are due; nil when none is. Stale elements in front of the others go.
  mutating func lastDue(limit: Int) -> Watermark? {
    let count = min(limit, due.count)
    var position = count
    while position > 0 {
      position -= 1
      guard let next = due.ahead(position) else { break }
      if isPending(next) { return Watermark(dueMs: next.dueMs, sequence: next.sequence) }
    }
    for _ in 0..<count { due.removeFirst() }
    return nil
  }

  /// Takes the next message out of the due queue if it stands at or in front of `limit`. It keeps its slot.
  @inline(__always)
  mutating func takeDue(through limit: Watermark) -> UInt32? {
    while let next = due.first, Watermark(dueMs: next.dueMs, sequence: next.sequence) <= limit {
      due.removeFirst()
      prefetchNext()
      if isPending(next) { return next.index }
    }
    return nil
  }

  @inline(__always)
  private func isPending(_ element: DueMessage) -> Bool {
    let message = slab[element.index]
    return message.pointee.record != nil && message.pointee.sequence == element.sequence
  }

  /// Prefetches what the next messages to be released will need: the slot of one, and the record of an earlier one, whose
  /// slot is in the cache by now.
  @inline(__always)
  private func prefetchNext() {
    if let later = due.ahead(16) { prefetch(slab[later.index]) }
    guard let soon = due.ahead(8), let record = slab[soon.index].pointee.record else { return }
    for line in 0..<4 { prefetch(record + line * 64) }
  }

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

  /// Every message has a timer, or stands in the due queue, or has been released. O(messages).
  func checkInvariants() {
    var dueSlots: [UInt32: Sequence] = [:]
    for position in 0..<due.count {
      guard let element = due.ahead(position) else { break }
      if isPending(element) {
        precondition(dueSlots[element.index] == nil, "a message stands in the due queue twice")
        dueSlots[element.index] = element.sequence
      }
    }
    slab.forEach { slot, message in
      let timer = message.pointee.timer
      let isDue = dueSlots[slot] != nil
      if timer == .none {
        precondition(isDue, "a message has no timer and is not due")
      } else if timer == PendingSlab.isReleased {
        precondition(!isDue, "a released message is due")
      } else {
        precondition(slotOfTimer[timer.index] == slot, "a timer stands for another message")
      }
    }
  }
}
