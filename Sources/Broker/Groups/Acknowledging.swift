// Commands about deliveries: acknowledging, refusing, and extending the ack wait; and what happens when the ack wait ends.

import Primitives
import TimingWheel
import TopicLog

extension Broker {
  /// Ends deliveries of a group; gives how many there were. O(1) each.
  public func acknowledge(_ group: Group, _ selection: Selection) throws(BrokerStop) -> Answer<Int> {
    try requireWorking()
    var count = 0
    selection.forEach(in: group) { offset in
      guard let entry = group.outstanding.find(offset), entry.pointee.state != .parked, entry.pointee.attempts > 0
      else { return }
      groups.end(offset, in: group)
      count += 1
    }
    turn.counters.acknowledged += UInt64(count)
    if count > 0 { groups.markDirty(group) }
    return recordedAtEnd(count)
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
    selection.forEach(in: group) { offset in
      guard let delivery = groups.takeBack(offset, group) else { return }
      count += 1
      if delivery.attempts >= group.options.maxAttempts {
        group.outstanding.startDeadLettering(offset, .deliveryLimit)
        return
      }
      groups.makeWait(offset, delayMs: delayMs ?? Self.backOffMs(attempts: delivery.attempts), group)
    }
    turn.counters.refused += UInt64(count)
    if count > 0 { groups.markDirty(group) }
    return recordedAtEnd(count)
  }

  /// Starts the ack wait of deliveries anew; gives how many there were.
  public func touch(_ group: Group, _ selection: Selection) throws(BrokerStop) -> Answer<Int> {
    try requireWorking()
    var count = 0
    selection.forEach(in: group) { offset in
      guard let entry = group.outstanding.find(offset), entry.pointee.state == .inFlight,
        let consumer = groups[consumer: entry.pointee.consumer]
      else { return }
      count += 1
      timers.stop(entry.pointee.timer)
      group.outstanding.setTimer(offset, groups.startAckWait(offset, group, consumer))
    }
    return recordedAtEnd(count)
  }

  /// The answer to a command about deliveries. What ends in a turn is recorded together, at the turn's end.
  private func recordedAtEnd(_ count: Int) -> Answer<Int> { Answer(count, gate: count > 0 ? .endOfTurn : .open) }

  /// One second, doubled each attempt, ten minutes at most.
  static func backOffMs(attempts: UInt32) -> Int64 { min(600_000, 1000 << Int64(min(attempts - 1, 20))) }
}

extension Selection {
  /// Calls `body` with each offset that it names; it may name others than what is outstanding.
  @inline(__always) fileprivate func forEach(in group: Group, _ body: (TopicOffset) -> Void) {
    switch self {
    case .one(let offset): body(offset)
    case .list(let offsets): for offset in offsets { body(offset) }
    case .upTo(let last):
      for offset in group.outstanding.offsets(from: group.committed, upTo: last) { body(offset) }
    }
  }
}

extension Groups {
  /// Takes a delivery back from its consumer, for a caller that decides at once what becomes of the message. Gives the entry
  /// as it was; nil when no consumer has the message. O(1).
  func takeBack(_ offset: TopicOffset, _ group: Group) -> Outstanding? {
    guard let delivery = group.outstanding.takeBack(offset) else { return nil }
    timers.stop(delivery.timer)
    noteTakenBack(from: delivery.consumer)
    return delivery
  }

  /// A delivery came to nothing: it can be made again, unless it was made too often or has expired. What can be made again at
  /// once needs no record: a crash would do the same.
  func giveBack(_ offset: TopicOffset, _ group: Group, _ way: GiveBack) {
    guard let delivery = takeBack(offset, group) else { return }
    if delivery.attempts >= group.options.maxAttempts {
      group.outstanding.startDeadLettering(offset, .deliveryLimit)
    } else if delivery.isExpired {
      group.outstanding.startDeadLettering(offset, .expired)
    } else {
      if let delayMs = group.queue?.retry?.delayMs(way, attempts: delivery.attempts) {
        makeWait(offset, delayMs: delayMs, group)
      } else {
        group.outstanding.makeReady(offset)
      }
      group.queue?.gotBack(bodyBytes: Int(delivery.bodyBytes), in: group)
    }
    markDirty(group)
  }

  /// A delivery that was taken back waits before it is made again.
  func makeWait(_ offset: TopicOffset, delayMs: Int64, _ group: Group) {
    let untilMs = turn.nowRoundedUpMs + delayMs
    recordEnds(group)
    apply(turn.write(Refused(group: group.number, untilMs: untilMs, offset: offset)))
    startWaiting(offset, untilMs, group)
  }

  /// Starts the timer of a delivery that waits for its time.
  func startWaiting(_ offset: TopicOffset, _ untilMs: UnixMs, _ group: Group) {
    let target = TimerTarget(kind: .outstanding, owner: group.number, value: offset)
    group.outstanding.setTimer(offset, timers.start(dueMs: untilMs, target))
  }

  /// The timer of an outstanding message has fired: its ack wait is over, or its redelivery is due.
  func outstandingTimerFired(group number: UInt32, offset: TopicOffset, _ timer: TimerID) {
    guard let group = self[number], let entry = group.outstanding.find(offset), entry.pointee.timer == timer
    else { return }
    guard entry.pointee.state == .waiting else { return giveBack(offset, group, .abandoned) }
    group.outstanding.makeReady(offset)
    markDirty(group)
  }
}
