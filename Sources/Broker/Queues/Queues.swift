// The queues: the decisions that put messages into them, the letters of messages that end, and work that is done later in the
// turn.
//
// Holds: a queue stands in each line of work once; `overdue` has waiting messages whose expiry timer has fired, in that order.
// Leaves to others: which messages a queue has and who gets them (Group, Groups), its own rules (QueueRules), the wheel and the
// slices in which expiry timers wait (they are pending messages like any other).
//
// No exclusivity checks on what every message touches: one thread owns it.

import Primitives
import TimingWheel
import TopicLog

/// A waiting message whose time to live is over.
struct OverdueMessage: BitwiseCopyable {
  let topic: UInt32
  let offset: TopicOffset
}

/// What queues have in common.
final class Queues {
  let settings: BrokerSettings
  let turn: Turn
  let timers: Timers
  let topics: Topics
  let groups: Groups
  let hasher: SipHash128
  /// Where expiry timers wait.
  let pending: Pending
  /// Says where dead letters go.
  weak var router: (any DeadLetterRouter)?
  /// Waiting messages whose expiry timer has fired, in that order.
  @exclusivity(unchecked) private(set) var overdue = Fifo<OverdueMessage>()
  /// Whether the first of them waits for the disk.
  @exclusivity(unchecked) private(set) var isStalled = false
  /// Queues whose rules are to be enforced before anything else is asked about them.
  @exclusivity(unchecked) private var urgent: [Group] = []
  @exclusivity(unchecked) private var trimmable: [Group] = []
  /// Expiry timers of messages that have ended, still to be stopped.
  private var timersToStop: [(topic: Topic, offsets: Range<TopicOffset>)] = []
  /// Queues that nobody has used for as long as they say.
  private var idle: [Group] = []
  @exclusivity(unchecked) private var targets: [LetterTarget] = []

  init(
    _ settings: BrokerSettings, _ turn: Turn, _ timers: Timers, _ topics: Topics, _ groups: Groups, _ pending: Pending,
    _ hasher: SipHash128
  ) {
    self.settings = settings
    self.turn = turn
    self.timers = timers
    self.topics = topics
    self.groups = groups
    self.pending = pending
    self.hasher = hasher
  }

  /// The groups of all queues, by number.
  var inOrder: [Group] { groups.inOrder.filter { $0.queue != nil } }

  /// The rules of the group that a topic has if it is a queue's.
  func rules(of topic: Topic?) -> QueueRules? {
    guard let topic, topic.isQueue else { return nil }
    let rules = QueueRules(self)
    rules.hasDeadLetters = topic.isRelay
    return rules
  }

  /// Whether there is something to do in the next turn, even if nobody asks for anything.
  var hasWork: Bool { !overdue.isEmpty && !isStalled || !timersToStop.isEmpty }

  // MARK: Letters

  /// - Parameter sequence: of the decision's record.
  func apply(_ enqueued: Enqueued, sequence: Sequence) {
    turn.note(enqueued.atMs)
    var position = 0
    take(enqueued.letter, enqueued.atMs, sequence, &position)
    end(enqueued.source)
  }

  /// - Parameter sequence: of the decision's record.
  func apply(_ deadLettered: DeadLettered, sequence: Sequence) {
    turn.note(deadLettered.atMs)
    var position = 0
    deadLettered.letters.forEach { take($0, deadLettered.atMs, sequence, &position) }
    end(deadLettered.source)
  }

  /// Appends a message to its queues and starts its expiry timers, which share the sequence of the record.
  private func take(_ letter: DecidedLetter, _ atMs: UnixMs, _ sequence: Sequence, _ position: inout Int) {
    let parts = letter.message.record.parts
    letter.targets.forEach { target in
      let timerSequence = MessageSequence.of(record: sequence, position: position)
      position += 1
      guard let topic = topics[target.topic] else { return topics.noteNumber(target.topic) }
      if topic.isRelay { return postpone(parts, topic, dueMs: target.expiresAtMs, atMs, timerSequence) }
      if !topic.isQueue { return append(parts, to: topic, atMs, timerSequence) }
      let offset = topic.log.append(parts, dueMs: target.expiresAtMs, releasedMs: atMs)
      topic.groups.first?.queue?.appended(parts, at: offset, isImmediate: target.expiresAtMs <= atMs)
      if target.expiresAtMs > atMs, target.expiresAtMs != LetterTarget.never {
        startExpiry(of: offset, in: topic, atMs: target.expiresAtMs, timerSequence)
      }
    }
  }

  /// Appends a message to a topic that is no queue, under an id made from `sequence`. A name holds in a relay only.
  private func append(_ given: MessageParts, to topic: Topic, _ atMs: UnixMs, _ sequence: Sequence) {
    var parts = given
    parts.id = UnsafeRawBufferPointer(start: nil, count: 0)
    parts.flags &= ~RecordFlags.transient
    withGivenID(parts, sequence) { parts in
      let offset = topic.log.append(parts, dueMs: atMs, releasedMs: atMs)
      let hash = hasher.hash(topic: topic.number, id: parts.id)
      pending.remember(hash, .released(offset: offset, dueMs: atMs), atMs: atMs)
    }
  }

  private func end(_ source: MessageSource?) {
    if let source, let group = groups[source.group] { groups.finish(source.offset, in: group) }
  }

  /// Puts a message into queues, each at most once, in one record.
  func enqueue(_ parts: MessageParts, to receivers: ArraySlice<QueueTarget>) {
    targets.removeAll(keepingCapacity: true)
    for receiver in receivers { targets.append(target(receiver, enteredMs: turn.nowRoundedUpMs)) }
    let message = MessageDraft(parts: parts, sequence: 0, dueMs: 0, stampMs: turn.nowMs, topic: 0)
    let letter = DecidedLetter(targets: .draft(targets), message: .draft(message))
    let enqueued = turn.write(Enqueued(source: nil, atMs: turn.nowMs, letter: letter))
    let sequence = turn.records.lastSequence
    apply(enqueued, sequence: sequence)
    for receiver in receivers { announce(receiver.topic, parts.flags, sequence, source: nil) }
  }

  /// Puts the letters of a message into their queues and ends the message in the queue that it comes from, all in one record.
  /// Drops letters that are too long for a record.
  ///
  /// - Returns: false when there is no letter that can be kept; then nothing has changed.
  @discardableResult
  func enqueue(
    _ letters: [Letter], of parts: MessageParts, endOf source: (group: Group, offset: TopicOffset)?,
    enteredMs: UnixMs
  ) -> Bool {
    var batches = Letter.batches(letters, of: parts)
    guard let last = batches.popLast() else { return false }
    // Letters that the last record has no room for go into records before it: a loss of power in between doubles letters and
    // loses none.
    for batch in batches { write(batch, parts, nil, enteredMs) }
    write(last, parts, source, enteredMs)
    return true
  }

  private func write(
    _ letters: [Letter], _ parts: MessageParts, _ source: (group: Group, offset: TopicOffset)?, _ enteredMs: UnixMs
  ) {
    let text = letters.flatMap { $0.headers + $0.tag }
    let deadLettered = text.withUnsafeBytes { text in
      var position = 0
      func next(_ count: Int) -> UnsafeRawBufferPointer {
        defer { position += count }
        return UnsafeRawBufferPointer(rebasing: text[position..<position + count])
      }
      let drafts = letters.map { letter in
        var parts = parts
        parts.headers = next(letter.headers.count)
        parts.tag = next(letter.tag.count)
        let message = MessageDraft(parts: parts, sequence: 0, dueMs: 0, stampMs: turn.nowMs, topic: 0)
        let targets = letter.targets.map { target($0, enteredMs: enteredMs) }
        return DecidedLetter(targets: .draft(targets), message: .draft(message))
      }
      let source = source.map { MessageSource(group: $0.group.number, offset: $0.offset) }
      return turn.write(DeadLettered(source: source, atMs: turn.nowMs, letters: .draft(drafts)))
    }
    let sequence = turn.records.lastSequence
    apply(deadLettered, sequence: sequence)
    for letter in letters {
      for target in letter.targets { announce(target.topic, parts.flags, sequence, source: source?.group) }
    }
  }

  /// - Parameter enteredMs: when the time to live begins. For a message that comes now that is the end of the current
  ///   millisecond, so that the whole time passes. A time to live of 0 is over at once.
  private func target(_ target: QueueTarget, enteredMs: UnixMs) -> LetterTarget {
    var expiresAtMs = LetterTarget.never
    if let ms = target.timeToLiveMs { expiresAtMs = ms == 0 ? turn.nowMs : enteredMs + ms }
    // What is pending is released later than now.
    if target.topic.isRelay { expiresAtMs = max(expiresAtMs, turn.nowMs + 1) }
    return LetterTarget(topic: target.topic.number, expiresAtMs: expiresAtMs)
  }

  /// Marks the work that a new message makes, in a queue or in a topic. A message that leaves a durable queue is not delivered
  /// until the record of its leaving is durable, even if its new queue is transient: a crash would deliver it again.
  private func announce(_ topic: Topic, _ flags: UInt32, _ sequence: Sequence, source: Group?) {
    guard topic.isQueue else { return groups.appended(topic, by: sequence) }
    guard let group = topic.groups.first, let queue = group.queue else { return }
    let isDurable = queue.isDurable || source?.queue?.isDurable == true
    if isDurable, flags & RecordFlags.transient == 0 {
      groups.appended(topic, by: sequence)
    } else if !group.consumers.isEmpty {
      groups.markDirty(group)
    }
    if !queue.immediate.isEmpty || queue.isTooLong(group) { markUrgent(group) }
  }

  // MARK: Ends

  /// Ends a message that was ready: as a dead letter if the queue has any.
  func endReady(_ message: MessageRecord, _ reason: EndReason, in group: Group) {
    group.queue?.noteEndOfReady(message)
    deadLetter(message, reason, in: group)
  }

  /// Ends a message. It becomes the letters that the router names, if any.
  func deadLetter(_ message: MessageRecord, _ reason: EndReason, in group: Group) {
    let offset = message.sequence
    var parts = message.parts
    // The name is valid in this relay only, so letters have none.
    parts.id = UnsafeRawBufferPointer(start: nil, count: 0)
    if group.queue?.hasDeadLetters == true,
      let letters = router?.letters(of: message, endedIn: group, because: reason),
      enqueue(letters, of: parts, endOf: (group, offset), enteredMs: enteredMs(message, reason))
    {
      if reason != .released { turn.counters.deadLettered += 1 }
    } else {
      groups.end(offset, in: group)
    }
  }

  /// The time from which the letters' times to live count. For an expired message it is the time at which it was due, however
  /// late it is handled, so that lateness does not add up in a row of queues. A message with a time to live of 0 was due at
  /// the beginning of its millisecond, before it came; its letters count from now.
  private func enteredMs(_ message: MessageRecord, _ reason: EndReason) -> UnixMs {
    reason == .expired && message.dueMs != message.stampMs ? message.dueMs : turn.nowRoundedUpMs
  }

  /// Ends a ready message; false when it must be read from disk first.
  func endReady(_ offset: TopicOffset, _ reason: EndReason, in group: Group) -> Bool {
    guard let queue = group.queue, queue.hasDeadLetters || queue.bytesMax != nil else {
      groups.end(offset, in: group)
      return true
    }
    var cursor = TopicCursor(offset: offset)
    switch group.topic.log.read(&cursor) {
    case .record(let message): endReady(message, reason, in: group)
    case .trimmed, .lost: groups.end(offset, in: group)
    case .loading: return false
    case .end, .forgotten: preconditionFailure("offset \(offset) is to end and is not in topic \(group.topic.number)")
    }
    return true
  }

  // MARK: Overdue messages

  /// A waiting message's expiry timer has fired. Called live and in replay, so that a crash before the message's end loses
  /// nothing.
  func noteOverdue(_ offset: TopicOffset, in topic: Topic) {
    overdue.append(OverdueMessage(topic: topic.number, offset: offset))
  }

  /// Ends overdue messages that wait, in order; those with a consumer are marked. O(messages ended).
  func endOverdue() {
    var budget = settings.endingsPerTurn
    isStalled = false
    while budget > 0, let first = overdue.ahead(0) {
      budget -= 1
      guard endIfReady(first.offset, in: topics[first.topic]) else {
        isStalled = true
        return prefetchOverdue()
      }
      _ = overdue.removeFirst()
    }
  }

  /// Asks for what the next ones need from disk, so that they do not wait for one read each.
  private func prefetchOverdue() {
    for distance in 1..<64 {
      guard let message = overdue.ahead(distance) else { break }
      var cursor = TopicCursor(offset: message.offset)
      _ = topics[message.topic]?.log.read(&cursor)
    }
  }

  /// False when the message must be read from disk first.
  private func endIfReady(_ offset: TopicOffset, in topic: Topic?) -> Bool {
    guard let group = topic?.groups.first else { return true }
    if offset < group.cursor {
      guard let entry = group.outstanding.find(offset) else { return true }
      guard entry.pointee.isWithoutConsumer else {
        group.outstanding.markExpired(offset)
        return true
      }
    } else if group.endedAhead.contains(offset) {
      return true
    }
    return endReady(offset, group.topic.isRelay ? .released : .expired, in: group)
  }

  // MARK: Rules that cannot wait

  func markUrgent(_ group: Group) {
    guard let queue = group.queue, !queue.isUrgent else { return }
    queue.setUrgent(true)
    urgent.append(group)
  }

  /// Does what cannot wait: messages without any time to live go to a consumer or end, and queues that are too long drop
  /// their oldest. What must be read from disk first waits for a later turn.
  func enforceRules() {
    guard !urgent.isEmpty, turn.failure == nil else { return }
    var later: [Group] = []
    while let group = urgent.popLast() {
      guard let queue = group.queue, group.topic.isAlive else { continue }
      queue.setUrgent(false)
      // These messages are delivered even when the turn has used up its bytes. Their number is bounded by what was published.
      turn.deliveryBytesRemaining = max(turn.deliveryBytesRemaining, settings.tailBytesPerTurn)
      groups.dispatch(group)
      let waiting = queue.takeImmediate().filter { !endIfReady($0, in: group.topic) }
      queue.putBack(immediate: waiting)
      var isWaiting = !waiting.isEmpty
      while !isWaiting, queue.isTooLong(group), let offset = oldestReady(group) {
        isWaiting = !endReady(offset, .tooLong, in: group)
      }
      if isWaiting { later.append(group) }
    }
    for group in later { markUrgent(group) }
  }

  private func oldestReady(_ group: Group) -> TopicOffset? {
    if let entry = group.outstanding.firstReady() { return entry.pointee.offset }
    return group.cursor < group.topic.log.nextOffset ? group.cursor : nil
  }

  // MARK: Expiry timers

  /// Stops the expiry timers of messages that ended together: at once when they are few, otherwise a bounded number a turn.
  /// The messages have all ended, so it does not matter when a timer is stopped, or whether it fires before.
  func stopExpiries(of offsets: Range<TopicOffset>, in topic: Topic) {
    guard topic.pendingCount > 0, !offsets.isEmpty else { return }
    timersToStop.append((topic, offsets))
    if offsets.count <= Self.timersStoppedPerTurn { stopExpiries() }
  }

  /// 2048 take about 4 ms when they lie on disk.
  private static let timersStoppedPerTurn = 2048

  /// Goes on stopping expiry timers.
  func stopExpiries() {
    var budget = Self.timersStoppedPerTurn
    while budget > 0, let next = timersToStop.popLast() {
      let topic = next.topic
      var offsets = next.offsets
      while budget > 0, topic.pendingCount > 0, let offset = offsets.popFirst() {
        stopExpiry(of: offset, in: topic)
        budget -= 1
      }
      if topic.pendingCount > 0, !offsets.isEmpty { timersToStop.append((topic, offsets)) }
    }
  }

  // MARK: Space

  func addTrimmable(_ group: Group) { trimmable.append(group) }

  /// Frees segments whose messages are all finished, and the only segment of a finished queue when it is large. Call at the
  /// beginning of a turn, when nobody looks at records.
  func trim() {
    for group in trimmable {
      group.queue?.setTrimmed()
      if group.topic.isAlive { trim(group) }
    }
    trimmable.removeAll(keepingCapacity: true)
  }

  // MARK: Idle queues

  /// The idle timer of a queue has fired: nobody has used the queue.
  func idleTimerFired(group number: UInt32, _ timer: TimerID) {
    guard let group = groups[number], let queue = group.queue, queue.idleTimer == timer else { return }
    queue.setIdleTimer(.none)
    idle.append(group)
  }

  func takeIdle() -> [Group] {
    defer { idle = [] }
    return idle
  }

  // MARK: A start

  /// Restores the queues of a checkpoint.
  func recover(_ state: State) {
    for queue in state.queues {
      guard let group = groups[queue.group] else { continue }
      group.recover(endedAhead: queue.endedAhead)
      group.queue?.recover(transient: queue.transient)
    }
    for message in state.overdue { overdue.append(message) }
  }

  /// Ends recovery: lists as overdue the messages that expired while a consumer had them, and those that were to be delivered
  /// at once or never.
  ///
  /// - Parameter isSalvaged: whether parts of the journal were left out.
  func start(isSalvaged: Bool) {
    for group in inOrder {
      if isSalvaged { group.queue?.forgetLost(from: group.topic.log.nextOffset) }
      var expired: [TopicOffset] = []
      group.outstanding.forEach { entry in
        if entry.pointee.isExpired { expired.append(entry.pointee.offset) }
      }
      for offset in expired.sorted() + (group.queue?.takeImmediate() ?? []) { noteOverdue(offset, in: group.topic) }
    }
  }

  func checkInvariants() {
    for group in inOrder { group.queue?.checkInvariants(group) }
    for group in urgent { precondition(group.queue?.isUrgent == true, "a queue in the urgent line knows it") }
    for group in trimmable { precondition(group.queue?.mayTrim == true, "a queue to be trimmed knows it") }
  }
}
