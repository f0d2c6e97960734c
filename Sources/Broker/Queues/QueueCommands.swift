// Commands about queues: making, filling, emptying and deleting them, and their idle timers.

import Primitives
import TopicLog

extension Broker {
  /// The name of the one group of a queue.
  private static let queueGroup = "queue"

  /// Says where the dead letters of queues go.
  public var deadLetterRouter: (any DeadLetterRouter)? {
    get { queues.router }
    set { queues.router = newValue }
  }

  /// Makes a queue: a topic of that name, which keeps a message until it is acknowledged, and its group.
  ///
  /// - Throws: `limitExceeded`, `diskFull`, `storageFailed`.
  public func makeQueue(_ name: String) throws(BrokerStop) -> Group {
    try makeQueue(name, retentionMs: Topic.retentionMsOfQueues)
  }

  func makeQueue(_ name: String, retentionMs: Int64) throws(BrokerStop) -> Group {
    try requireSpace()
    try groups.requireRoom()
    let topic = try name.withBytes { bytes throws(BrokerStop) in
      try topics.make(bytes, retentionMs: retentionMs, retentionBytes: .max)
    }
    return Self.queueGroup.withBytes { groups.make(topic, $0, start: 0, queue: queues.rules(of: topic)) }
  }

  /// The queue of this name.
  public func findQueue(_ name: String) -> Group? {
    guard let group = name.withBytes({ findTopic($0) })?.groups.first, group.queue != nil else { return nil }
    return group
  }

  /// The groups of all queues. O(groups).
  public var allQueues: [Group] { queues.inOrder }

  /// Deletes a queue with everything in it. Its consumers get `ended`.
  public func deleteQueue(_ group: Group) throws(BrokerStop) {
    stopIdleTimer(group)
    _ = try group.topic.nameBytes.withBytes { name throws(BrokerStop) in try deleteTopic(name) }
  }

  // MARK: Filling

  /// Refuses a message that cannot be taken now. How large its body may be is for the caller to say: see `requireBody`.
  public func requireRoom(for parts: MessageParts) throws(BrokerStop) {
    try requireSpace()
    try requireKeepable(parts)
    try requireRoom()
  }

  /// Puts a message into queues, each at most once, all in one record. `enforceQueueRules` must follow before the turn ends or
  /// anything is asked. O(targets).
  ///
  /// - Parameter parts: `flags` may have `RecordFlags.transient`; the id may be empty.
  public func enqueue(_ parts: MessageParts, to targets: [QueueTarget]) {
    var rest = targets[...]
    while !rest.isEmpty {
      queues.enqueue(parts, to: rest.prefix(LetterTarget.recordMax))
      rest = rest.dropFirst(LetterTarget.recordMax)
    }
    turn.counters.published += UInt64(targets.count)
  }

  /// The same for a message that goes to different queues with different headers.
  public func enqueue(_ letters: [Letter], of parts: MessageParts) {
    queues.enqueue(letters, of: parts, endOf: nil, enteredMs: nowRoundedUpMs)
    turn.counters.published += UInt64(letters.reduce(0) { $0 + $1.targets.count })
  }

  /// Does what the rules of queues say must happen at once: messages without any time to live go to a consumer or end, and
  /// queues that are too long drop their oldest.
  public func enforceQueueRules() { queues.enforceRules() }

  // MARK: Consumers

  /// Adds a consumer to a queue. `options.ackWaitMs` does not count: consumers of queues may take as long as they like.
  public func consume(
    _ group: Group, sub: Int64, connection: UInt64, _ options: ConsumerOptions
  ) throws(BrokerStop) -> Consumer {
    try requireWorking()
    return groups.addConsumer(connection, sub, .subscription, group.topic, group, options.withoutAckWait)
  }

  /// The consumer that collects a connection's fetches on a queue.
  public func getter(_ group: Group, connection: UInt64, _ options: ConsumerOptions) throws(BrokerStop) -> Consumer {
    try requireWorking()
    return groups.fetcher(of: group, connection: connection, options.withoutAckWait)
  }

  /// Gives the consumers of a queue what they can take now, before the end of the turn.
  public func serve(_ group: Group) {
    guard turn.failure == nil, group.topic.isAlive, !group.consumers.isEmpty else { return }
    turn.deliveryBytesRemaining = max(turn.deliveryBytesRemaining, settings.tailBytesPerTurn)
    groups.dispatch(group)
  }

  /// Takes the deliveries to one consumer out of this turn's effects, for a caller that must show them before something else.
  /// O(effects).
  public func takeDeliveries(to consumer: Consumer) -> [Delivery] {
    var taken: [Delivery] = []
    turn.effects.removeAll { effect in
      guard case .deliver(let delivery) = effect, delivery.consumer === consumer else { return false }
      taken.append(delivery)
      return true
    }
    return taken
  }

  /// Gives deliveries back to their places, to be made again at once or when the queue's `RetryRule` says.
  public func requeue(_ group: Group, _ offsets: [TopicOffset], _ way: GiveBack) throws(BrokerStop) {
    try requireWorking()
    for offset in offsets where group.outstanding.find(offset)?.pointee.state == .inFlight {
      groups.giveBack(offset, group, way)
      turn.counters.refused += 1
    }
  }

  /// Ends deliveries as dead letters. That they end is recorded here; where they go is asked when they are dead-lettered, which
  /// may have to wait for the disk.
  public func reject(_ group: Group, _ offsets: [TopicOffset]) throws(BrokerStop) {
    try requireWorking()
    var runs: [OffsetRun] = []
    for offset in offsets where groups.takeBack(offset, group) != nil {
      runs.add(offset)
      turn.counters.refused += 1
    }
    runs.forEachRecord {
      groups.apply(turn.write(Rejected(group: group.number, reason: EndReason.rejected.rawValue, runs: $0)))
    }
    if !runs.isEmpty { groups.markDirty(group) }
  }

  // MARK: Emptying

  /// Ends every ready message of a queue; gives how many. O(messages waiting).
  public func purge(_ group: Group) throws(BrokerStop) -> Answer<Int> {
    try requireWorking()
    let count = queues.purge(group)
    return Answer(count, gate: count > 0 ? .endOfTurn : gate)
  }

  // MARK: Idle queues

  /// Lists a queue in `takeIdleQueues` after `afterMs`, unless the timer is started anew or stopped before.
  public func startIdleTimer(_ group: Group, afterMs: Int64) {
    stopIdleTimer(group)
    group.queue?.setIdleTimer(
      timers.start(dueMs: turn.nowRoundedUpMs + afterMs, TimerTarget(kind: .idleQueue, owner: group.number)))
  }

  /// Stops the timer of a queue that is in use.
  public func stopIdleTimer(_ group: Group) {
    guard let queue = group.queue else { return }
    timers.stop(queue.idleTimer)
    queue.setIdleTimer(.none)
  }

  /// Queues whose idle timer has run out, for the front end to end them; to be asked when a turn has begun.
  public func takeIdleQueues() -> [Group] { queues.takeIdle() }

  // MARK: Starting again

  /// Ends the transient messages of a queue, and counts the bytes of the others if there is a bound for them. At a start,
  /// before anything is delivered. `drain` does the disk work that was submitted.
  public func restore(_ group: Group, drain: () -> Void) { queues.restore(group, drain: drain) }
}

extension ConsumerOptions {
  fileprivate var withoutAckWait: ConsumerOptions {
    var options = self
    options.ackWaitMs = Self.ackWaitForEver
    return options
  }
}

extension Queues {
  fileprivate func purge(_ group: Group) -> Int {
    guard let queue = group.queue else { preconditionFailure("only a queue is purged") }
    var ready: [TopicOffset] = []
    group.outstanding.forEach { if $0.pointee.isWithoutConsumer { ready.append($0.pointee.offset) } }
    for offset in ready.sorted() { groups.end(offset, in: group) }
    let count = ready.count + endWaiting(group, queue)
    _ = queue.takeImmediate()
    queue.setReadyBytes(0)
    return count
  }

  /// Ends everything at and above the cursor; gives how many messages that were.
  private func endWaiting(_ group: Group, _ queue: QueueRules) -> Int {
    let waiting = group.cursor..<max(group.cursor, group.topic.log.nextOffset)
    var count = 0
    for offset in waiting where !group.endedAhead.contains(offset) {
      queue.noteEndOfTransient(offset)
      groups.noteEnd(offset, in: group)
      count += 1
    }
    group.skip(to: waiting.upperBound)
    stopExpiries(of: waiting, in: group.topic)
    queue.noteTrimmable(group)
    return count
  }

  /// The topic of a queue is deleted: its expiry timers are stopped.
  func remove(_ topic: Topic) {
    guard topic.isQueue, !topic.isRelay, let group = topic.groups.first else { return }
    stopExpiries(of: group.committed..<topic.log.nextOffset, in: topic)
  }

  fileprivate func restore(_ group: Group, drain: () -> Void) {
    guard let queue = group.queue else { return }
    for offset in queue.transient.offsets { groups.end(offset, in: group) }
    if queue.bytesMax != nil { countReadyBytes(group, queue, drain: drain) }
    if queue.prioritiesMax > 0 { readPriorities(group, queue, drain: drain) }
    // Power failed between a message and the end of the one that it leaves no room for.
    if queue.isTooLong(group) { markUrgent(group) }
  }

  /// What was taken up by its priority stands in line by it again.
  private func readPriorities(_ group: Group, _ queue: QueueRules, drain: () -> Void) {
    var offsets: [TopicOffset] = []
    group.outstanding.forEach { if $0.pointee.isWithoutConsumer { offsets.append($0.pointee.offset) } }
    for offset in offsets.sorted() {
      var cursor = TopicCursor(offset: offset)
      var read = group.topic.log.read(&cursor)
      while case .loading = read, turn.failure == nil {
        drain()
        read = group.topic.log.read(&cursor)
      }
      if case .record(let message) = read {
        group.outstanding.setPriority(offset, queue.priority(of: message))
      }
    }
  }

  private func countReadyBytes(_ group: Group, _ queue: QueueRules, drain: () -> Void) {
    queue.setReadyBytes(0)
    var bytes = 0
    var cursor = TopicCursor(offset: group.committed)
    while true {
      let isReady =
        cursor.offset >= group.cursor
        ? !group.endedAhead.contains(cursor.offset)
        : group.outstanding.find(cursor.offset)?.pointee.isWithoutConsumer == true
      switch group.topic.log.read(&cursor) {
      case .record(let record):
        if isReady { bytes += record.body.count }
        cursor.pass(record)
      case .lost(let record): cursor.pass(record)
      case .loading:
        drain()
        if turn.failure != nil { return }
      case .trimmed: cursor = TopicCursor(offset: group.topic.log.firstOffset)
      case .forgotten(let next): cursor = TopicCursor(offset: next)
      case .end: return queue.setReadyBytes(bytes)
      }
    }
  }
}
