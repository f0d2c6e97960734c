// What becomes of a delivery: acknowledged, refused, timed out, given back, dead.

import Primitives
import TimingWheel
import TopicLog

extension Broker {
  /// Why a message goes to the dead letters, as its `x-reason` says.
  static let tooManyAttempts = "max_attempts"

  // MARK: By consumers

  /// Ends deliveries of a group; gives how many there were. O(1) each.
  public func acknowledge(_ group: Group, _ selection: Selection) throws(BrokerStop) -> Answer<Int> {
    try requireWorking()
    var count = 0
    forEach(selection, group) { offset in
      guard isDelivered(group, offset) else { return }
      end(group, offset)
      noteAck(group, offset)
      count += 1
    }
    counters.acknowledged += UInt64(count)
    if count > 0 { markDirty(group) }
    return ended(count)
  }

  /// Refuses deliveries: they come again after `delayMs`, or after the back-off of their attempt; those delivered often
  /// enough go to the dead letters.
  public func refuse(
    _ group: Group, _ selection: Selection, delayMs: Int64?
  ) throws(BrokerStop) -> Answer<Int> {
    try requireWorking()
    if let delayMs, delayMs > settings.maxDelayMs {
      throw .refuse(.delayOutOfRange, "a message can be at most \(settings.maxDelayMs) ms ahead")
    }
    var count = 0
    forEach(selection, group) { offset in
      guard let entry = group.outstanding.find(offset), entry.pointee.state == .inFlight else { return }
      count += 1
      takeBack(group, entry)
      if entry.pointee.attempts >= group.maxAttempts {
        group.startDying(entry)
        return
      }
      let untilMs = nowRoundedUpMs + (delayMs ?? Self.backOffMs(attempts: entry.pointee.attempts))
      recordAcks(group)
      records.begin(DecisionKind.refused.rawValue)
      records.append(group.number)
      records.append(untilMs)
      records.append(offset)
      records.finish()
      wait(group, entry, untilMs)
    }
    counters.refused += UInt64(count)
    if count > 0 { markDirty(group) }
    return ended(count)
  }

  /// Starts the ack wait of deliveries anew; gives how many there were.
  public func touch(_ group: Group, _ selection: Selection) throws(BrokerStop) -> Answer<Int> {
    try requireWorking()
    var count = 0
    forEach(selection, group) { offset in
      guard let entry = group.outstanding.find(offset), entry.pointee.state == .inFlight else { return }
      guard let consumer = consumers[Int(entry.pointee.consumer)] else { return }
      count += 1
      stopTimer(entry.pointee.timer)
      entry.pointee.timer = startTimer(
        dueMs: nowRoundedUpMs + consumer.options.ackWaitMs,
        TimerTarget(kind: .outstanding, owner: group.number, value: offset))
    }
    return ended(count)
  }

  /// The answer to a command about deliveries. Acknowledgements of a turn are recorded together, at its end.
  private func ended(_ count: Int) -> Answer<Int> { Answer(count, gate: count > 0 ? .endOfTurn : .open) }

  /// One second, doubled each attempt, ten minutes at most.
  static func backOffMs(attempts: UInt32) -> Int64 { min(600_000, 1000 << Int64(min(attempts - 1, 20))) }

  private func isDelivered(_ group: Group, _ offset: TopicOffset) -> Bool {
    guard let entry = group.outstanding.find(offset) else { return false }
    return entry.pointee.state != .parked && entry.pointee.attempts > 0
  }

  private func forEach(_ selection: Selection, _ group: Group, _ body: (TopicOffset) -> Void) {
    switch selection {
    case .one(let offset): body(offset)
    case .list(let offsets): for offset in offsets { body(offset) }
    case .upTo(let last):
      var offsets: [TopicOffset] = []
      let first = group.committed
      if last >= first, last - first < UInt64(group.outstanding.capacity) {
        for offset in first...last where group.outstanding.find(offset) != nil { offsets.append(offset) }
      } else {
        group.outstanding.forEach { if $0.pointee.offset <= last { offsets.append($0.pointee.offset) } }
        offsets.sort()
      }
      for offset in offsets { body(offset) }
    }
  }

  // MARK: States

  /// Takes a message out of the group for good.
  func end(_ group: Group, _ offset: TopicOffset) {
    if let contents = group.contents { endQueued(group, offset, contents) }
    let finished = group.finish(offset) { number in
      number == Outstanding.noConsumer ? nil : consumers[Int(number)]
    }
    if let finished { stopTimer(finished.entry.timer) }
  }

  /// Takes an entry from its consumer. What it becomes is the caller's.
  func takeBack(_ group: Group, _ entry: UnsafeMutablePointer<Outstanding>) {
    stopTimer(entry.pointee.timer)
    entry.pointee.timer = TimerID.none
    if entry.pointee.state == .inFlight {
      group.inFlightCount -= 1
      if entry.pointee.consumer != Outstanding.noConsumer { consumers[Int(entry.pointee.consumer)]?.inFlight -= 1 }
    }
    entry.pointee.consumer = Outstanding.noConsumer
  }

  /// Lets an entry wait for its next delivery.
  func wait(_ group: Group, _ entry: UnsafeMutablePointer<Outstanding>, _ untilMs: UnixMs) {
    entry.pointee.untilMs = untilMs
    entry.pointee.state = .waiting
    entry.pointee.timer = startTimer(
      dueMs: untilMs, TimerTarget(kind: .outstanding, owner: group.number, value: entry.pointee.offset))
  }

  /// Makes a delivery that came to nothing ready to be made again, or dead.
  func giveBack(_ group: Group, _ offset: TopicOffset) {
    guard let entry = group.outstanding.find(offset) else { return }
    takeBack(group, entry)
    if entry.pointee.isExpired, entry.pointee.attempts < group.maxAttempts {
      die(group, entry, .expired)
    } else if entry.pointee.attempts >= group.maxAttempts {
      group.startDying(entry)
    } else {
      if let contents = group.contents {
        contents.readyBytes += Int(entry.pointee.bodyBytes)
        if group.isTooLong { markUnsettled(group) }
      }
      entry.pointee.state = .ready
      group.ready.insert(offset)
    }
    markDirty(group)
  }

  func outstandingTimerFired(group number: UInt32, offset: TopicOffset, _ timer: TimerID) {
    guard let group = groups[Int(number)], let entry = group.outstanding.find(offset), entry.pointee.timer == timer
    else {
      return
    }
    if entry.pointee.state == .waiting {
      entry.pointee.timer = TimerID.none
      entry.pointee.state = .ready
      group.ready.insert(offset)
      markDirty(group)
    } else {
      giveBack(group, offset)
    }
  }

  // MARK: Records

  func noteAck(_ group: Group, _ offset: TopicOffset) {
    if group.unrecordedAcks.isEmpty { groupsWithAcks.append(group) }
    if let last = group.unrecordedAcks.indices.last, group.unrecordedAcks[last].count < .max,
      group.unrecordedAcks[last].start + UInt64(group.unrecordedAcks[last].count) == offset
    {
      group.unrecordedAcks[last].count += 1
    } else {
      group.unrecordedAcks.append((offset, 1))
    }
  }

  /// Writes down what a group acknowledged since its last record: in one record, unless there are very many runs.
  func recordAcks(_ group: Group) {
    var rest = group.unrecordedAcks[...]
    while !rest.isEmpty {
      records.begin(DecisionKind.acknowledged.rawValue)
      records.append(group.number)
      for run in rest.prefix(DecisionKind.runsMax) {
        records.append(run.start)
        records.append(run.count)
      }
      records.finish()
      rest = rest.dropFirst(DecisionKind.runsMax)
    }
    group.unrecordedAcks.removeAll(keepingCapacity: true)
  }

  func recordAcks() {
    for group in groupsWithAcks where group.topic.isAlive { recordAcks(group) }
    groupsWithAcks.removeAll(keepingCapacity: true)
  }

  // MARK: Dead letters

  /// Moves what is dying to the group's dead letters, in order, as far as it can be read; a bounded number a turn.
  func buryDying(_ group: Group) {
    while !group.dying.isEmpty {
      if burialsLeft == 0 { return markDirty(group) }
      burialsLeft -= 1
      let offset = group.dying.removeFirst()
      guard let entry = group.outstanding.find(offset), entry.pointee.state == .dying else { continue }
      if !bury(offset, entry, group) {
        group.dying.putBack(offset)
        return
      }
    }
  }

  /// False when it must wait: for the disk, or until a topic can be made for it.
  private func bury(_ offset: TopicOffset, _ entry: UnsafeMutablePointer<Outstanding>, _ group: Group) -> Bool {
    var cursor = TopicCursor(offset: offset)
    switch group.topic.log.read(&cursor) {
    case .record(let message):
      if group.contents == nil { return bury(message, entry.pointee.attempts, group) }
      bury(message, entry.pointee.reason, group)
    case .trimmed: end(group, offset)
    case .loading:
      group.waitsForDisk = true
      // So that those behind it do not wait for one read each.
      for distance in 0..<64 {
        guard let next = group.dying.ahead(distance) else { break }
        cursor = TopicCursor(offset: next)
        _ = group.topic.log.read(&cursor)
      }
      return false
    case .end, .forgotten: preconditionFailure("offset \(offset) is out and not in topic \(group.topic.number)")
    }
    return true
  }

  /// False when no topic can be made for it: then the message stays with the group and is tried again when the group moves.
  private func bury(_ message: MessageRecord, _ attempts: UInt32, _ group: Group) -> Bool {
    let offset = message.sequence
    guard let target = deadLetterTopic(group) else { return false }
    let headers = HeaderText.merged(
      message.headers,
      [
        ("x-origin-topic", group.topic.name), ("x-origin-offset", String(offset)), ("x-group", group.name),
        ("x-attempts", String(attempts)), ("x-reason", Self.tooManyAttempts),
      ])
    headers.withUnsafeBytes { forward(message, headers: $0, group, to: target) }
    end(group, offset)
    counters.deadLettered += 1
    return true
  }

  /// Records that a group is done with a message and that a copy with these headers goes to another topic; appends it.
  func forward(_ message: MessageRecord, headers: UnsafeRawBufferPointer, _ group: Group, to target: Topic) {
    var parts = message.parts
    parts.headers = headers
    recordAcks(group)
    let length = parts.recordLength
    records.append(kind: DecisionKind.forwarded.rawValue, payloadCapacity: 20 + length) { payload in
      let base = payload.baseAddress!
      base.storeBytes(of: group.number.littleEndian, as: UInt32.self)
      base.storeBytes(of: message.sequence.littleEndian, toByteOffset: 4, as: UInt64.self)
      base.storeBytes(of: nowMs.littleEndian, toByteOffset: 12, as: Int64.self)
      MessageRecord.write(
        parts, sequence: 0, dueMs: message.dueMs, stampMs: nowMs, topic: target.number, at: base + 20)
      return 20 + length
    }
    _ = target.log.append(parts, dueMs: message.dueMs, releasedMs: nowMs)
    appended(target, by: records.lastSequence)
  }

  private func deadLetterTopic(_ group: Group) -> Topic? {
    let name = group.deadLetterTopic ?? "\(group.topic.name).\(group.name).dlq"
    return name.withBytes { try? topicAlways($0) }
  }
}
