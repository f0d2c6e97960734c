// Expiry of waiting messages: each has a marker in the wheel, or on disk when it is far, that leaves on its millisecond.
//
// Holds: replay of a `released` record takes markers away and lists what they stood for; only an explicit record ends a
// message, so that a crash between the two loses nothing. Messages end in the order in which their markers left.
// Leaves to others: how markers wait (they are pending messages like any other).

import Primitives
import TimingWheel
import TopicLog

extension Broker {
  // MARK: Markers

  /// Schedules the marker of a queued message.
  func startExpiry(_ topic: Topic, _ offset: TopicOffset, _ expiresAtMs: UnixMs, _ sequence: Sequence) {
    withMarkerID(offset) { id in
      var parts = MessageParts(id: id, body: UnsafeRawBufferPointer(start: nil, count: 0))
      parts.flags = RecordFlags.expiryMarker
      withUnsafeTemporaryAllocation(byteCount: parts.recordLength, alignment: 8) { memory in
        let base = memory.baseAddress!
        MessageRecord.write(
          parts, sequence: sequence, dueMs: expiresAtMs, stampMs: nowMs, topic: topic.number, at: base)
        place(MessageRecord(base), topic, leaveMs: expiresAtMs, hash: hasher.hash(topic: topic.number, id: id))
      }
    }
  }

  /// Takes a marker back, if it has not left.
  func stopExpiry(_ topic: Topic, _ offset: TopicOffset) {
    withMarkerID(offset) { id in
      let hash = hasher.hash(topic: topic.number, id: id)
      guard let place = place(of: hash) else { return }
      withdraw(hash, place)
      topic.pendingCount -= 1
    }
  }

  /// Takes back the markers of messages that all ended at once: few now, many some a turn. None of these may wait or be with
  /// a consumer any more, so that it does not matter when a marker goes, or whether it leaves before.
  func stopExpiries(_ topic: Topic, _ offsets: Range<TopicOffset>) {
    guard topic.pendingCount > 0, !offsets.isEmpty else { return }
    queueWork.leftMarkers.append(LeftMarkers(topic: topic, offsets: offsets))
    if offsets.count <= Self.markersStoppedPerTurn { stopLeftExpiries() }
  }

  /// 2048 take about 4 ms when they lie on disk.
  private static let markersStoppedPerTurn = 2048

  /// Goes on taking back markers.
  func stopLeftExpiries() {
    var budget = Self.markersStoppedPerTurn
    while budget > 0, var left = queueWork.leftMarkers.popLast() {
      while budget > 0, left.topic.pendingCount > 0, let offset = left.offsets.first {
        stopExpiry(left.topic, offset)
        left.offsets.removeFirst()
        budget -= 1
      }
      if left.topic.pendingCount > 0, !left.offsets.isEmpty { queueWork.leftMarkers.append(left) }
    }
  }

  private func withMarkerID(_ offset: TopicOffset, _ body: (UnsafeRawBufferPointer) -> Void) {
    withUnsafeBytes(of: offset.littleEndian) { body($0) }
  }

  /// A marker leaves: what it stands for is to be looked at.
  func markerLeft(_ record: MessageRecord, _ topic: Topic) {
    let offset = record.id.loadUnaligned(as: UInt64.self).littleEndian
    queueWork.overdue.append((topic.number, offset))
    topic.pendingCount -= 1
  }

  // MARK: Overdue messages

  /// Ends overdue messages that wait, in order; those with a consumer are marked. O(messages ended).
  func endOverdue() {
    let work = queueWork
    guard work.hasOverdue else { return }
    var budget = settings.endingsPerTurn
    work.isStalled = false
    while budget > 0, work.hasOverdue {
      budget -= 1
      let (topic, offset) = work.overdue[work.overdueHead]
      guard endIfReady(topic, offset) else {
        work.isStalled = true
        prefetchOverdue()
        break
      }
      work.overdueHead += 1
    }
    if work.overdueHead == work.overdue.count || work.overdueHead > 1 << 16 {
      work.overdue.removeFirst(work.overdueHead)
      work.overdueHead = 0
    }
  }

  /// Asks for what the next ones need from disk, so that they do not wait for one read each.
  private func prefetchOverdue() {
    let end = min(queueWork.overdue.count, queueWork.overdueHead + 64)
    for (number, offset) in queueWork.overdue[queueWork.overdueHead..<end] {
      guard let topic = topics[number] else { continue }
      var cursor = TopicCursor(offset: offset)
      _ = topic.log.read(&cursor)
    }
  }

  /// False when the message must be read from disk first.
  func endIfReady(_ number: UInt32, _ offset: TopicOffset) -> Bool {
    guard let topic = topics[number], let group = topic.groups.first, let contents = group.contents else { return true }
    if offset < group.cursor.offset {
      guard let entry = group.outstanding.find(offset) else { return true }
      guard entry.pointee.state == .ready else {
        entry.pointee.isExpired = true
        return true
      }
    } else if contents.ended.contains(offset) {
      return true
    }
    return endReady(group, contents, offset, .expired)
  }

  /// Ends a ready message, as a dead letter if the queue has any; false when it must be read from disk first.
  func endReady(_ group: Group, _ contents: QueueContents, _ offset: TopicOffset, _ reason: EndReason) -> Bool {
    let hasDeadLetters = deadLetterRouter?.hasDeadLetters(group) == true
    if hasDeadLetters || contents.bytesMax != nil {
      var cursor = TopicCursor(offset: offset)
      switch group.topic.log.read(&cursor) {
      case .record(let record):
        if contents.bytesMax != nil { contents.readyBytes -= record.body.count }
        if hasDeadLetters, deadLetterRouter?.routeDeadLetter(record, of: group, because: reason) == true {
          counters.deadLettered += 1
          return true
        }
      case .trimmed: break
      case .loading: return false
      case .end, .forgotten: preconditionFailure("offset \(offset) is to end and is not in topic \(group.topic.number)")
      }
    }
    end(group, offset)
    noteAck(group, offset)
    if group.outstanding.count == 0 { group.ready.removeAll() }
    return true
  }

  // MARK: Settling

  func markUnsettled(_ group: Group) {
    guard let contents = group.contents, !contents.isUnsettled else { return }
    contents.isUnsettled = true
    queueWork.unsettled.append(group)
  }

  /// Does what cannot wait: messages without any time to live go to a consumer or end, and queues that are too long drop
  /// their oldest. What must be read from disk first is left for a later turn.
  public func settleQueues() {
    guard !queueWork.unsettled.isEmpty, failure == nil else { return }
    var later: [Group] = []
    while let group = queueWork.unsettled.popLast() {
      guard let contents = group.contents, group.topic.isAlive else { continue }
      contents.isUnsettled = false
      // What cannot wait is delivered whatever the turn has delivered already: its publishing is what bounds it.
      turnBytesLeft = max(turnBytesLeft, settings.tailBytesPerTurn)
      dispatch(group)
      let immediate = contents.immediate
      contents.immediate = []
      let waiting = immediate.filter { !endIfReady(group.topic.number, $0) }
      contents.immediate += waiting
      var isWaiting = !waiting.isEmpty
      while !isWaiting, group.isTooLong, let offset = oldestReady(group, contents) {
        isWaiting = !endReady(group, contents, offset, .tooLong)
      }
      if isWaiting { later.append(group) }
    }
    for group in later { markUnsettled(group) }
  }

  private func oldestReady(_ group: Group, _ contents: QueueContents) -> TopicOffset? {
    while let offset = group.ready.first {
      if let entry = group.outstanding.find(offset), entry.pointee.state == .ready { return offset }
      group.ready.removeFirst()
    }
    passEnded(group, contents)
    return group.cursor.offset < group.topic.log.nextOffset ? group.cursor.offset : nil
  }

  // MARK: Idle queues

  /// Calls the router's `idleTimerFired` after `afterMs`, unless it is started anew or stopped before.
  public func startIdleTimer(_ group: Group, afterMs: Int64) {
    stopIdleTimer(group)
    group.contents?.idleTimer = startTimer(
      dueMs: nowRoundedUpMs + afterMs, TimerTarget(kind: .idleQueue, owner: group.number))
  }

  /// Stops the timer of a queue that is in use.
  public func stopIdleTimer(_ group: Group) {
    guard let contents = group.contents else { return }
    stopTimer(contents.idleTimer)
    contents.idleTimer = PendingSlab.noTimer
  }

  func idleTimerFired(group number: UInt32, _ timer: TimerID) {
    guard let group = groups[Int(number)], let contents = group.contents, contents.idleTimer == timer else { return }
    contents.idleTimer = PendingSlab.noTimer
    deadLetterRouter?.idleTimerFired(group)
  }
}
