// Queues: made, filled, emptied. The journal's part is one record for a message and all the queues it goes to.

import Primitives
import TopicLog

extension Broker {
  /// The name of the one group of a queue.
  static let queueGroup = "queue"

  /// Makes a queue: a topic of that name, which keeps a message until it is acknowledged, and its group.
  ///
  /// - Throws: `limitExceeded`, `diskFull`, `storageFailed`.
  public func makeQueue(_ name: String) throws(BrokerStop) -> Group {
    try requireSpace()
    guard groupCount < settings.groupsMax else {
      throw .refuse(.limitExceeded, "there are \(groupCount) groups, and no more are allowed")
    }
    let topic = try name.withBytes { bytes throws(BrokerStop) in
      try makeTopic(bytes, QueueContents.retentionMs, .max)
    }
    let number = UInt32(groups.count)
    records.begin(Decision.groupCreated.rawValue)
    records.append(number)
    records.append(topic.number)
    records.append(UInt64(0))
    Self.queueGroup.withBytes { records.append(bytes: $0) }
    records.finish()
    return addGroup(number, topic, Self.queueGroup, 0)
  }

  /// The queue of this name.
  public func findQueue(_ name: String) -> Group? {
    let topic = name.withBytes { findTopic($0) }
    guard let group = topic?.groups.first, group.contents != nil else { return nil }
    return group
  }

  /// All queues.
  public var queues: [Group] { groups.compactMap { $0?.contents == nil ? nil : $0 } }

  /// Deletes a queue with everything in it. Its consumers get `ended`.
  public func deleteQueue(_ group: Group) throws(BrokerStop) {
    stopIdleTimer(group)
    _ = try group.topic.nameBytes.withBytes { name throws(BrokerStop) in try deleteTopic(name) }
  }

  // MARK: Filling

  /// Whether a message of this size may be taken now.
  public func requireRoom(for parts: MessageParts) throws(BrokerStop) {
    try requireSpace()
    try requireFitting(parts)
    try requireRoom()
  }

  /// Whether a message that has grown on its way still fits into a record.
  public func fits(_ parts: MessageParts) -> Bool { parts.recordLength <= Decision.messageBytesMax }

  /// Puts a message into queues, each at most once, and ends the message of another queue that it came from: all in one
  /// record. `settleQueues` must follow before the turn ends or anything is asked. O(targets).
  ///
  /// - Parameter parts: `flags` may have `RecordFlags.transient`; the id may be empty.
  public func enqueue(
    _ parts: MessageParts, to targets: [QueueTarget], endOf source: (group: Group, offset: TopicOffset)? = nil
  ) {
    var rest = targets[...]
    // Markers share ten bits of the record's sequence. The message's end comes last: torn off, it is better twice than never.
    while rest.count > ScheduleBatch.messagesMax {
      writeEnqueued(parts, rest.prefix(ScheduleBatch.messagesMax), nil)
      rest = rest.dropFirst(ScheduleBatch.messagesMax)
    }
    writeEnqueued(parts, rest, source)
  }

  private func writeEnqueued(
    _ parts: MessageParts, _ targets: ArraySlice<QueueTarget>, _ source: (group: Group, offset: TopicOffset)?
  ) {
    let length = parts.recordLength
    let headLength = 24 + 12 * targets.count
    let sequence = records.nextSequence
    records.append(kind: Decision.enqueued.rawValue, payloadCapacity: headLength + length) { payload in
      let base = payload.baseAddress!
      base.storeBytes(of: (source?.group.number ?? .max).littleEndian, as: UInt32.self)
      base.storeBytes(of: (source?.offset ?? 0).littleEndian, toByteOffset: 4, as: UInt64.self)
      base.storeBytes(of: nowMs.littleEndian, toByteOffset: 12, as: Int64.self)
      base.storeBytes(of: UInt32(targets.count).littleEndian, toByteOffset: 20, as: UInt32.self)
      var place = 24
      for target in targets {
        base.storeBytes(of: target.group.topic.number.littleEndian, toByteOffset: place, as: UInt32.self)
        base.storeBytes(of: expiryMs(target).littleEndian, toByteOffset: place + 4, as: Int64.self)
        place += 12
      }
      MessageRecord.write(parts, sequence: 0, dueMs: 0, stampMs: nowMs, topic: 0, at: base + place)
      return headLength + length
    }
    for (place, target) in targets.enumerated() {
      let marker = MessageSequence.of(record: sequence, place: place)
      take(parts, target.group.topic, expiresAtMs: expiryMs(target), atMs: nowMs, marker)
      announce(target.group, parts, sequence, source?.group)
    }
    if let source { end(source.group, source.offset) }
    if source == nil { counters.published += UInt64(targets.count) }
  }

  /// The end of the current millisecond counts, so that the whole time passes; no time is no time.
  private func expiryMs(_ target: QueueTarget) -> UnixMs {
    guard let ms = target.timeToLiveMs else { return .max }
    return ms == 0 ? nowMs : nowRoundedUpMs + ms
  }

  /// What moves out of a durable queue is shown when that is durable, wherever it goes: else a crash would show it again.
  private func announce(_ group: Group, _ parts: MessageParts, _ sequence: Sequence, _ source: Group?) {
    guard let contents = group.contents else { return }
    let isDurable = contents.isDurable || source?.contents?.isDurable == true
    if isDurable, parts.flags & RecordFlags.transient == 0 {
      appended(group.topic, by: sequence)
    } else if !group.consumers.isEmpty {
      markDirty(group)
    }
    if contents.bytesMax != nil { contents.readyBytes += parts.body.count }
    if group.isTooLong || !contents.immediate.isEmpty { markUnsettled(group) }
  }

  /// Appends a message to a queue and starts its time to live. The same live and in replay.
  func take(_ parts: MessageParts, _ topic: Topic, expiresAtMs: UnixMs, atMs: UnixMs, _ marker: Sequence) {
    let offset = topic.log.append(parts, dueMs: expiresAtMs, releasedMs: atMs)
    guard let contents = topic.groups.first?.contents else { return }
    if parts.flags & RecordFlags.transient != 0 { contents.transient.insert(offset) }
    if expiresAtMs == .max { return }
    if expiresAtMs > atMs {
      startExpiry(topic, offset, expiresAtMs, marker)
    } else if isReplaying {
      queueWork.overdue.append((topic.number, offset))
    } else {
      contents.immediate.append(offset)
    }
  }

  // MARK: Consumers

  /// Adds a consumer to a queue. `options.ackWaitMs` does not count.
  public func consume(
    _ group: Group, sub: Int64, connection: UInt64, _ options: ConsumerOptions
  ) throws(BrokerStop) -> Consumer {
    try requireWorking()
    let consumer = addConsumer(connection, sub, .subscription, group.topic, group, options)
    group.consumers.append(consumer)
    adopt(options, group)
    return consumer
  }

  /// The fetching side of a connection on a queue, for `fetch`.
  public func getter(_ group: Group, connection: UInt64, _ options: ConsumerOptions) throws(BrokerStop) -> Consumer {
    try requireWorking()
    return fetcher(of: group, connection: connection, options)
  }

  /// Gives the consumers of a queue what they can take now, before the end of the turn.
  public func serve(_ group: Group) {
    guard failure == nil, group.topic.isAlive, !group.consumers.isEmpty else { return }
    turnBytesLeft = max(turnBytesLeft, settings.tailBytesPerTurn)
    dispatch(group)
  }

  /// Takes the deliveries to one consumer out of this turn's effects, for who must show them before something else.
  /// O(effects).
  public func takeDeliveries(to consumer: Consumer) -> [Delivery] {
    var taken: [Delivery] = []
    effects.removeAll { effect in
      guard case .deliver(let delivery) = effect, delivery.consumer === consumer else { return false }
      taken.append(delivery)
      return true
    }
    return taken
  }

  // MARK: Emptying

  /// Ends every ready message of a queue; gives how many. O(messages waiting).
  public func purge(_ group: Group) throws(BrokerStop) -> Answer<Int> {
    try requireWorking()
    guard let contents = group.contents else { preconditionFailure("only a queue is purged") }
    var ready: [TopicOffset] = []
    group.outstanding.forEach { if $0.pointee.state == .ready { ready.append($0.pointee.offset) } }
    for offset in ready.sorted() {
      end(group, offset)
      noteAck(group, offset)
    }
    group.ready.removeAll()
    let count = ready.count + endWaiting(group, contents)
    contents.immediate = []
    contents.readyBytes = 0
    return Answer(count, gate: count > 0 ? .endOfTurn : gate)
  }

  /// Ends everything at and above the cursor; gives how many messages that were.
  private func endWaiting(_ group: Group, _ contents: QueueContents) -> Int {
    let waiting = group.cursor.offset..<max(group.cursor.offset, group.topic.log.nextOffset)
    var count = 0
    for offset in waiting where !contents.ended.contains(offset) {
      if contents.transient.count > 0 { contents.transient.remove(offset) }
      noteAck(group, offset)
      count += 1
    }
    contents.ended = OffsetSet()
    group.cursor = TopicCursor(offset: waiting.upperBound)
    stopExpiries(group.topic, waiting)
    noteTrimmable(group, contents)
    return count
  }

  /// Gives deliveries back to their places. No record: a crash would put them there, too.
  public func requeue(_ group: Group, _ offsets: [TopicOffset]) throws(BrokerStop) {
    try requireWorking()
    var count = 0
    for offset in offsets {
      guard let entry = group.outstanding.find(offset), entry.pointee.state == .inFlight else { continue }
      giveBack(group, offset)
      count += 1
    }
    counters.refused += UInt64(count)
  }

  /// Ends deliveries as dead letters. That they end is recorded here; where they go is asked when
  /// they are buried, which may have to wait for the disk.
  public func reject(_ group: Group, _ offsets: [TopicOffset]) throws(BrokerStop) {
    try requireWorking()
    var count = 0
    var runs: [(start: TopicOffset, count: UInt32)] = []
    for offset in offsets {
      guard let entry = group.outstanding.find(offset), entry.pointee.state == .inFlight else { continue }
      takeBack(group, entry)
      die(group, entry, .rejected)
      count += 1
      if let last = runs.indices.last, runs[last].start + UInt64(runs[last].count) == offset {
        runs[last].count += 1
      } else {
        runs.append((offset, 1))
      }
    }
    recordDoomed(group, .rejected, runs)
    counters.refused += UInt64(count)
  }

  private func recordDoomed(_ group: Group, _ reason: EndReason, _ runs: [(start: TopicOffset, count: UInt32)]) {
    var rest = runs[...]
    while !rest.isEmpty {
      records.begin(Decision.doomed.rawValue)
      records.append(group.number)
      records.append(reason.rawValue)
      for run in rest.prefix(Decision.runsMax) {
        records.append(run.start)
        records.append(run.count)
      }
      records.finish()
      rest = rest.dropFirst(Decision.runsMax)
    }
  }

  func die(_ group: Group, _ entry: UnsafeMutablePointer<Outstanding>, _ reason: EndReason) {
    entry.pointee.reason = reason.rawValue
    group.startDying(entry)
    markDirty(group)
  }

  /// A message of a queue goes to a consumer: for as long as that likes.
  func noteHanded(
    _ message: MessageRecord, _ entry: UnsafeMutablePointer<Outstanding>, _ group: Group, _ contents: QueueContents,
    _ consumer: Consumer
  ) {
    if consumer.options.acknowledgesItself { group.selfAcknowledged.append(entry.pointee.offset) }
    guard contents.bytesMax != nil else { return }
    entry.pointee.bodyBytes = UInt32(message.body.count)
    contents.readyBytes -= Int(entry.pointee.bodyBytes)
  }

  /// Ends what was delivered to consumers that do not acknowledge.
  func acknowledgeDelivered(_ group: Group) {
    for offset in group.selfAcknowledged {
      end(group, offset)
      noteAck(group, offset)
    }
    counters.acknowledged += UInt64(group.selfAcknowledged.count)
    group.selfAcknowledged.removeAll(keepingCapacity: true)
    markDirty(group)
  }

  /// Ends a dying message: as a dead letter, or for good.
  func bury(_ message: MessageRecord, _ reason: UInt8, _ group: Group) {
    let reason = EndReason(rawValue: reason) ?? .deliveryLimit
    if deadLetterRouter?.hasDeadLetters(group) == true,
      deadLetterRouter?.routeDeadLetter(message, of: group, because: reason) == true
    {
      counters.deadLettered += 1
      return
    }
    end(group, message.sequence)
    noteAck(group, message.sequence)
  }

  /// What the end of a message means in a queue: its marker goes, and the cursor passes it when it stands there.
  func endQueued(_ group: Group, _ offset: TopicOffset, _ contents: QueueContents) {
    if contents.transient.count > 0 { contents.transient.remove(offset) }
    if group.topic.pendingCount > 0 { stopExpiry(group.topic, offset) }
    if offset >= group.cursor.offset, offset < group.topic.log.nextOffset {
      contents.ended.insert(offset)
      passEnded(group, contents)
    }
    contents.endedSinceLook += 1
    noteTrimmable(group, contents)
  }

  private func noteTrimmable(_ group: Group, _ contents: QueueContents) {
    guard !contents.mayTrim else { return }
    contents.mayTrim = true
    queueWork.trimmable.append(group)
  }

  /// Moves the cursor over messages that have ended. Each is passed once.
  func passEnded(_ group: Group, _ contents: QueueContents) {
    guard contents.ended.count > 0 else { return }
    let next = contents.ended.removeRun(from: group.cursor.offset)
    if next != group.cursor.offset { group.cursor = TopicCursor(offset: next) }
  }

  /// Gives the space of finished messages back, a whole segment at a time: once all of a segment is finished, or the whole
  /// queue is and its segment is worth it. At the beginning of a turn, when nobody looks at records.
  func trimQueues() {
    for group in queueWork.trimmable {
      group.contents?.mayTrim = false
      guard group.topic.isAlive else { continue }
      let log = group.topic.log
      let committed = group.committed
      forgetEnded(group)
      let isEmpty = committed == log.nextOffset && log.bytes >= 1 << 20
      guard isEmpty || committed >= log.oldestSegmentEndOffset ?? .max, committed > log.firstOffset else { continue }
      records.begin(Decision.trimmed.rawValue)
      records.append(group.topic.number)
      records.append(committed)
      records.finish()
      log.trim(to: committed)
    }
    queueWork.trimmable.removeAll(keepingCapacity: true)
  }

  /// Gives the space of segments back that stand behind a message which waits for long, and in which all have ended. No record
  /// says so: whoever starts from before looks again. Looked at when an eighth of all has ended since the last time.
  private func forgetEnded(_ group: Group) {
    let log = group.topic.log
    guard let contents = group.contents, log.segmentCount > 2,
      UInt64(contents.endedSinceLook) >= (log.nextOffset - group.committed) / 8
    else { return }
    contents.endedSinceLook = 0
    let cursor = group.cursor.offset
    var used: Set<TopicOffset> = []
    group.outstanding.forEach { used.insert(log.segmentBase(of: $0.pointee.offset)) }
    log.forgetSegments { range in
      if range.upperBound > cursor, !contents.ended.contains(all: max(range.lowerBound, cursor)..<range.upperBound) {
        return false
      }
      return range.lowerBound >= cursor || !used.contains(range.lowerBound)
    }
  }

  // MARK: Starting again

  /// Ends the transient messages of a queue, and counts the bytes of the others if there is a bound for them. At a start,
  /// before anything is delivered. `drain` does the disk work that was submitted.
  public func restore(_ group: Group, drain: () -> Void) {
    guard let contents = group.contents else { return }
    for offset in contents.transient.offsets {
      end(group, offset)
      noteAck(group, offset)
    }
    if contents.bytesMax != nil { countReadyBytes(group, contents, drain: drain) }
    // Power failed between a message and the end of the one that it leaves no room for.
    if group.isTooLong { markUnsettled(group) }
  }

  private func countReadyBytes(_ group: Group, _ contents: QueueContents, drain: () -> Void) {
    contents.readyBytes = 0
    var cursor = TopicCursor(offset: group.committed)
    while true {
      let isReady =
        cursor.offset >= group.cursor.offset
        ? !contents.ended.contains(cursor.offset) : group.outstanding.find(cursor.offset)?.pointee.state == .ready
      switch group.topic.log.read(&cursor) {
      case .record(let record):
        if isReady { contents.readyBytes += record.body.count }
        cursor.pass(record)
      case .loading:
        drain()
        if failure != nil { return }
      case .trimmed: cursor = TopicCursor(offset: group.topic.log.firstOffset)
      case .forgotten(let next): cursor = TopicCursor(offset: next)
      case .end: return
      }
    }
  }
}
