// The outstanding messages of a group: the state of each, and which one comes next.
//
// Holds: of the messages of one key only the first is not parked; every message in state ready stands in the line of those to
// be delivered again, unless it is being delivered in this moment; every message in state deadLettering stands in the line of
// those to be dead-lettered; the counts are those of the table.
// Leaves to others: the cursor (Group), who gets a message (Groups+Dispatch), timers, the journal.
//
// This file alone changes an entry, so every change has a name here. Some changes are made by decisions, in replay as well;
// the others are about consumers, who are gone after a restart.
//
// No exclusivity checks on what every message touches: one thread owns it, and the checks took 13 % of a burst's time.

import Primitives
import TimingWheel

/// The outstanding messages of a group.
final class OutstandingMessages {
  private let table = OutstandingTable()
  @exclusivity(unchecked) private var ready = RankHeap()
  /// Offsets to be dead-lettered, in their order; may hold some that have ended since.
  @exclusivity(unchecked) private var deadLetters = Fifo<TopicOffset>()
  @exclusivity(unchecked) private var deadLetteringCount = 0
  /// For ordered delivery: the outstanding offsets of each key, ascending.
  private var keyLines: [UInt64: KeyLine] = [:]
  /// Messages with a consumer.
  @exclusivity(unchecked) private(set) var inFlight = 0

  // MARK: Looking

  /// How many there are.
  var count: Int { table.count }

  /// Those that could be delivered, now or when their time comes.
  var deliverableCount: Int { table.count - inFlight - deadLetteringCount }

  /// The entry of an offset; nil when it is not outstanding. Good until the next change. O(1).
  @inline(__always) func find(_ offset: TopicOffset) -> UnsafePointer<Outstanding>? {
    table.find(offset).map { UnsafePointer($0) }
  }

  /// Calls `body` for every message, in no order.
  func forEach(_ body: (UnsafePointer<Outstanding>) -> Void) { table.forEach { body(UnsafePointer($0)) } }

  /// The offsets from `first` up to `last`, ascending. O(what lies in between) or O(table), whichever is less.
  func offsets(from first: TopicOffset, upTo last: TopicOffset) -> [TopicOffset] {
    if last >= first, last - first < UInt64(table.capacity) {
      return (first...last).filter { table.find($0) != nil }
    }
    var offsets: [TopicOffset] = []
    table.forEach { if $0.pointee.offset <= last { offsets.append($0.pointee.offset) } }
    return offsets.sorted()
  }

  /// The first message to be delivered again; nil when there is none. Amortised O(log messages).
  func firstReady() -> UnsafePointer<Outstanding>? {
    while let rank = ready.first {
      let entry = table.find(Outstanding.offset(rank: rank))
      if let entry, entry.pointee.state == .ready, entry.pointee.rank == rank { return UnsafePointer(entry) }
      ready.removeFirst()
    }
    return nil
  }

  /// The first message to be dead-lettered; nil when there is none. Amortised O(1).
  func firstDeadLetter() -> UnsafePointer<Outstanding>? {
    while let offset = deadLetters.ahead(0) {
      if let entry = table.find(offset), entry.pointee.state == .deadLettering { return UnsafePointer(entry) }
      _ = deadLetters.removeFirst()
    }
    return nil
  }

  /// The offset that stands so far behind the first in the line of dead letters; nil when the line is not so long.
  func deadLetter(ahead distance: Int) -> TopicOffset? { deadLetters.ahead(distance) }

  /// Whether a message of this key must wait behind another one.
  func isBusy(key keyHash: UInt64) -> Bool { keyLines[keyHash] != nil }

  // MARK: What decisions mean

  /// A message was delivered for the first time, or parked behind another one of its key.
  func deliver(_ offset: TopicOffset, keyHash: UInt64, isParked: Bool) {
    var entry = Outstanding(offset: offset)
    entry.attempts = isParked ? 0 : 1
    entry.state = isParked ? .parked : .ready
    entry.keyHash = keyHash
    insert(entry)
  }

  private func insert(_ entry: Outstanding) {
    if entry.keyHash != 0 { keyLines[entry.keyHash, default: KeyLine()].append(entry.offset) }
    table.insert(entry)
  }

  /// A message was delivered again.
  func redeliver(_ offset: TopicOffset) {
    guard let entry = table.find(offset) else { return }
    entry.pointee.attempts += 1
    setState(entry, .ready)
  }

  /// A refused delivery waits until its time.
  func wait(_ offset: TopicOffset, untilMs: UnixMs) {
    guard let entry = table.find(offset) else { return }
    entry.pointee.untilMs = untilMs
    setState(entry, .waiting)
  }

  /// A message is to become a dead letter.
  func startDeadLettering(_ offset: TopicOffset, _ reason: EndReason) {
    guard let entry = table.find(offset) else { return }
    entry.pointee.reason = reason.rawValue
    if entry.pointee.state == .deadLettering { return }
    setState(entry, .deadLettering)
    deadLetters.append(offset)
  }

  /// A message has ended, and the next one of its key may go. Gives the entry that it had; nil when it was not outstanding. O(1).
  func finish(_ offset: TopicOffset) -> Outstanding? {
    guard let entry = table.remove(offset) else { return nil }
    if entry.state == .inFlight { inFlight -= 1 }
    if entry.state == .deadLettering { deadLetteringCount -= 1 }
    if entry.keyHash != 0 { leaveLine(entry) }
    // With no message outstanding, every entry of the line is stale.
    if table.count == 0, !ready.isEmpty { ready.removeAll() }
    return entry
  }

  private func leaveLine(_ entry: Outstanding) {
    guard let wasFirst = keyLines[entry.keyHash]?.remove(entry.offset) else { return }
    let next = keyLines[entry.keyHash]!.first
    if next == nil { keyLines[entry.keyHash] = nil }
    guard wasFirst, let next, let waiting = table.find(next), waiting.pointee.state == .parked else { return }
    waiting.pointee.state = .ready
    ready.insert(waiting.pointee.rank)
  }

  func removeAll() {
    table.removeAll()
    ready.removeAll()
    deadLetters = Fifo()
    deadLetteringCount = 0
    keyLines = [:]
    inFlight = 0
  }

  private func setState(_ entry: UnsafeMutablePointer<Outstanding>, _ state: Outstanding.State) {
    if entry.pointee.state == .deadLettering { deadLetteringCount -= 1 }
    if state == .deadLettering { deadLetteringCount += 1 }
    entry.pointee.state = state
  }

  // MARK: With consumers

  /// A message that was delivered is with a consumer now.
  @inline(__always) func hand(_ offset: TopicOffset, to consumer: UInt32, timer: TimerID, bodyBytes: UInt32) {
    guard let entry = table.find(offset) else { preconditionFailure("what a consumer gets is outstanding") }
    entry.pointee.state = .inFlight
    entry.pointee.consumer = consumer
    entry.pointee.timer = timer
    entry.pointee.bodyBytes = bodyBytes
    inFlight += 1
  }

  /// Takes a message back from its consumer, for a caller that decides at once what becomes of it. Gives the entry as it was;
  /// nil when no consumer has it.
  func takeBack(_ offset: TopicOffset) -> Outstanding? {
    guard let entry = table.find(offset), entry.pointee.state == .inFlight else { return nil }
    let old = entry.pointee
    inFlight -= 1
    entry.pointee.state = .ready
    entry.pointee.consumer = Outstanding.noConsumer
    entry.pointee.timer = .none
    return old
  }

  /// A message can be delivered again.
  func makeReady(_ offset: TopicOffset) {
    guard let entry = table.find(offset) else { return }
    entry.pointee.timer = .none
    entry.pointee.state = .ready
    ready.insert(entry.pointee.rank)
  }

  /// In a queue that goes by priorities: a message that was taken up waits to be delivered for the first time.
  func makeReady(_ offset: TopicOffset, priority: UInt8) {
    guard let entry = table.find(offset) else { return }
    entry.pointee.priority = priority
    entry.pointee.state = .ready
    ready.insert(entry.pointee.rank)
  }

  /// The priority of a message that has no consumer is known again after a start.
  func setPriority(_ offset: TopicOffset, _ priority: UInt8) {
    guard let entry = table.find(offset) else { return }
    entry.pointee.priority = priority
    if entry.pointee.state == .ready { ready.insert(entry.pointee.rank) }
  }

  /// Takes what `firstReady` gave out of the line: it is delivered, or ends.
  func removeFirstReady() { ready.removeFirst() }

  /// The timer with which its ack wait or its time of waiting ends.
  func setTimer(_ offset: TopicOffset, _ timer: TimerID) { table.find(offset)?.pointee.timer = timer }

  /// In a queue: the message's time to live has ended while it was with a consumer.
  func markExpired(_ offset: TopicOffset) { table.find(offset)?.pointee.isExpired = true }

  // MARK: A start

  /// Restores an entry of a checkpoint. The consumers of that time are gone.
  func recover(_ entry: Outstanding) {
    var entry = entry
    if entry.state == .inFlight { entry.state = .ready }
    insert(entry)
    if entry.state == .deadLettering { deadLetteringCount += 1 }
  }

  /// Ends recovery: makes the lines anew from the entries.
  ///
  /// - Parameter keepsDeadLetters: whether the journal says which messages are to be dead-lettered; otherwise they are
  ///   delivered once more, and found to have been delivered too often.
  func restart(keepsDeadLetters: Bool) {
    ready.removeAll()
    deadLetters = Fifo()
    deadLetteringCount = 0
    var waiting: [TopicOffset] = []
    table.forEach { entry in
      entry.pointee.timer = .none
      if entry.pointee.state == .deadLettering {
        if keepsDeadLetters { waiting.append(entry.pointee.offset) } else { entry.pointee.state = .ready }
      }
      // Taken up by its priority, and never delivered.
      if entry.pointee.state == .parked, entry.pointee.keyHash == 0 { entry.pointee.state = .ready }
      if entry.pointee.state == .ready { ready.insert(entry.pointee.rank) }
    }
    deadLetteringCount = waiting.count
    for offset in waiting.sorted() { deadLetters.append(offset) }
  }

  func checkInvariants() {
    let readyLine = Set(ready.all)
    let deadLetterLine = Set((0..<deadLetters.count).compactMap { deadLetters.ahead($0) })
    var counts: [Outstanding.State: Int] = [:]
    var keys: [UInt64: [TopicOffset]] = [:]
    table.forEach { entry in
      counts[entry.pointee.state, default: 0] += 1
      if entry.pointee.keyHash != 0 { keys[entry.pointee.keyHash, default: []].append(entry.pointee.offset) }
      let hasConsumer = entry.pointee.consumer != Outstanding.noConsumer
      let isInFlight = entry.pointee.state == .inFlight
      precondition(hasConsumer == isInFlight, "what is in flight has a consumer, and nothing else has")
      // What was parked behind another message of its key is ready, and not delivered yet, when that has ended.
      precondition(
        entry.pointee.state == .parked || entry.pointee.attempts > 0 || entry.pointee.keyHash == 0
          || entry.pointee.state == .ready, "what was not delivered is parked, ready, or waits by its priority")
      if entry.pointee.state == .ready {
        precondition(readyLine.contains(entry.pointee.rank), "what is ready stands in line to be delivered")
      }
      if entry.pointee.state == .deadLettering {
        precondition(deadLetterLine.contains(entry.pointee.offset), "what is dead-lettered stands in line for it")
      }
    }
    precondition(counts[.inFlight, default: 0] == inFlight, "the count of messages in flight is right")
    precondition(counts[.deadLettering, default: 0] == deadLetteringCount, "the count of dead letters is right")
    precondition(keys.count == keyLines.count, "every key with a message has a line")
    for (key, offsets) in keys {
      precondition(keyLines[key]?.all == offsets.sorted(), "the line of a key has its messages in order")
      for offset in offsets.sorted().dropFirst() {
        precondition(table.find(offset)?.pointee.state == .parked, "only the first message of a key is not parked")
      }
    }
  }
}
