// Replay: the journal's records put into state again, one for one, with nothing decided anew.

import DataFiles
import DelayStore
import Primitives
import TimingWheel
import TopicLog

extension Broker {
  /// The group of this number; nil when it is gone, or when a salvage left out the record that made it.
  func group(number: UInt32) -> Group? { Int(number) < groups.count ? groups[Int(number)] : nil }

  func replayTopic(_ decision: DecisionKind, _ reader: inout PayloadReader) {
    let number = reader.read(UInt32.self)
    switch decision {
    case .topicCreated:
      let retentionMs = reader.read(Int64.self)
      let retentionBytes = reader.read(Int64.self)
      addTopic(number, String(decoding: reader.rest, as: UTF8.self), retentionMs, retentionBytes)
    case .topicDeleted: if let topic = topics[number] { dropTopic(topic) }
    default: topics[number]?.log.trim(to: reader.read(UInt64.self))
    }
  }

  /// A record of a topic that is not there: deleted since, or a salvage left out the record that made it. Its number is not
  /// used again.
  func noteLostTopic(_ number: UInt32) { nextTopic = max(nextTopic, number + 1) }

  func replayReturned(_ reader: inout PayloadReader) {
    let group = group(number: reader.read(UInt32.self))
    let offset = reader.read(UInt64.self)
    pending.apply(Scheduled(decoding: reader.rest))
    if let group { end(group, offset) }
  }

  func appendReplayed(_ record: MessageRecord, atMs: UnixMs) {
    turn.note(atMs)
    guard let topic = topics[record.topic] else { return noteLostTopic(record.topic) }
    _ = topic.log.append(copyOf: record, releasedMs: atMs)
  }

  func replayGroup(_ decision: DecisionKind, _ group: Group, _ reader: inout PayloadReader) {
    switch decision {
    case .delivered: replayDelivered(group, &reader)
    case .redelivered:
      let offset = reader.read(UInt64.self)
      guard let entry = group.outstanding.find(offset) else { return }
      entry.pointee.attempts += 1
      entry.pointee.state = .ready
    case .acknowledged:
      while !reader.isEmpty, reader.rest.count >= 12 {
        let start = reader.read(UInt64.self)
        for offset in start..<start + UInt64(reader.read(UInt32.self)) { end(group, offset) }
      }
    case .refused:
      let untilMs = reader.read(Int64.self)
      if let entry = group.outstanding.find(reader.read(UInt64.self)) {
        entry.pointee.state = .waiting
        entry.pointee.untilMs = untilMs
      }
    case .forwarded:
      let offset = reader.read(UInt64.self)
      let atMs = reader.read(Int64.self)
      appendReplayed(MessageRecord(reader.rest.baseAddress!), atMs: atMs)
      end(group, offset)
      // A redrive takes messages at the cursor, or behind a gap there, without delivering them first.
      if offset >= group.cursor.offset { group.cursor = TopicCursor(offset: offset + 1) }
    case .doomed: replayDoomed(group, &reader)
    default: group.moveTo(reader.read(UInt64.self))
    }
  }

  private func replayDelivered(_ group: Group, _ reader: inout PayloadReader) {
    let from = reader.read(UInt64.self)
    let to = reader.read(UInt64.self)
    let count = reader.read(UInt32.self)
    group.contents?.ended.remove(in: from..<to)
    group.cursor = TopicCursor(offset: to)
    // Given out before, by a record in front of one that a salvage left out.
    func insert(_ entry: Outstanding) {
      if group.outstanding.find(entry.offset) != nil { end(group, entry.offset) }
      if entry.keyHash != 0 { _ = group.joinLine(entry.keyHash, entry.offset) }
      group.outstanding.insert(entry)
    }
    if count == DecisionKind.allDelivered {
      for offset in from..<to { insert(Outstanding(offset: offset, attempts: 1, state: .ready)) }
      return
    }
    for _ in 0..<count {
      let place = reader.read(UInt32.self)
      let isParked = place & DecisionKind.parkedBit != 0
      var entry = Outstanding(offset: from + UInt64(place & ~DecisionKind.parkedBit))
      entry.keyHash = reader.read(UInt64.self)
      entry.attempts = isParked ? 0 : 1
      entry.state = isParked ? .parked : .ready
      insert(entry)
    }
  }

  // MARK: Ready to work

  /// Ends recovery: time begins at `nowNs`, the wheels get their real resolution, what was with consumers is ready for
  /// others, waiting redeliveries wait on. Gives the number of milliseconds by which the watermark is ahead of the clock.
  ///
  /// - Parameter isSalvaged: whether parts of the journal were left out.
  @discardableResult
  public func start(nowNs: Int64, isSalvaged: Bool = false) -> Int64 {
    if isSalvaged { for group in groups { if let group { forgetLost(group) } } }
    let clockMs = TimeUnits.msRoundedDown(ns: nowNs)
    turn.start(clockMs: clockMs)
    let ahead = max(0, pending.watermark.dueMs - clockMs)
    timers.restart(nowMs: nowMs)
    pending.start()
    for group in groups { if let group { settle(group) } }
    held.start()
    return ahead
  }

  /// After a salvage a group may know of messages whose own records were left out.
  private func forgetLost(_ group: Group) {
    let endOffset = group.topic.log.nextOffset
    var lost: [TopicOffset] = []
    group.outstanding.forEach { if $0.pointee.offset >= endOffset { lost.append($0.pointee.offset) } }
    for offset in lost { end(group, offset) }
    if group.cursor.offset > endOffset { group.cursor = TopicCursor(offset: endOffset) }
    group.contents?.forgetLost(from: endOffset)
  }

  private func settle(_ group: Group) {
    settleExpired(group)
    group.ready.removeAll()
    group.dying = Fifo()
    var dying: [TopicOffset] = []
    group.inFlightCount = 0
    group.outstanding.forEach { entry in
      entry.pointee.consumer = Outstanding.noConsumer
      entry.pointee.timer = TimerID.none
      switch entry.pointee.state {
      case .waiting: wait(group, entry, entry.pointee.untilMs)
      case .parked: break
      case .dying where group.contents != nil: dying.append(entry.pointee.offset)
      case .inFlight, .ready, .dying:
        entry.pointee.state = .ready
        group.ready.insert(entry.pointee.offset)
      }
    }
    group.dyingCount = dying.count
    if dying.isEmpty { return }
    for offset in dying.sorted() { group.dying.append(offset) }
    markDirty(group)
  }
}
