// Release: what the wheel hands over leaves into its topic, in (due, sequence) order, a bounded number a turn.

import DelayStore
import Primitives
import TimingWheel
import TopicLog

extension Broker {
  /// Takes what is due from the wheel and lets it leave; one record says how far. O(released + demoted).
  func releaseDue() {
    takeExpired(toMs: min(nowMs, store.loadedMs - 1))
    if dueQueue.isEmpty { return }
    dueQueue.sort()
    var last: DueMessage?
    for _ in 0..<settings.releasesPerTurn {
      guard let next = dueQueue.first else { break }
      dueQueue.removeFirst()
      prefetchNext()
      if leave(next, atMs: nowMs) { last = next }
    }
    guard let last else { return }
    watermark = (last.dueMs, last.sequence)
    records.begin(DecisionKind.released.rawValue)
    records.append(last.dueMs)
    records.append(last.sequence)
    records.append(nowMs)
    records.finish()
  }

  /// Fetches what the next messages to leave will need: the slot of one, and the record of a nearer one whose slot has come
  /// by now.
  private func prefetchNext() {
    if let later = dueQueue.ahead(16) { prefetch(slab[later.index]) }
    guard let soon = dueQueue.ahead(8), let record = slab[soon.index].pointee.record else { return }
    for line in 0..<4 { prefetch(record + line * 64) }
  }

  /// Moves what is due by `limitMs` from the wheel to the queue.
  func takeExpired(toMs limitMs: UnixMs) {
    expired.removeAll()
    wheel.advance(to: limitMs, limit: 1 << 14, into: &expired)
    if expired.count > 1024 { dueQueue.reserve(expired.count) }
    for place in 0..<expired.count {
      if place + 8 < expired.count { prefetch(slab[slabOfTimer[expired[place + 8].id.index]]) }
      let index = slabOfTimer[expired[place].id.index]
      let message = slab[index]
      message.pointee.timer = TimerID.none
      dueQueue.append(DueMessage(dueMs: message.pointee.dueMs, sequence: message.pointee.sequence, index: index))
    }
  }

  /// A topic by number; messages that are due together mostly belong to the same.
  private func topic(_ number: UInt32) -> Topic? {
    if let lastReleased, lastReleased.number == number, lastReleased.isAlive { return lastReleased }
    lastReleased = topics[number]
    return lastReleased
  }

  /// Lets one message leave; false when it was cancelled or moved while it waited.
  func leave(_ due: DueMessage, atMs: UnixMs) -> Bool {
    let message = slab[due.index]
    guard let memory = message.pointee.record, message.pointee.sequence == due.sequence else { return false }
    let record = MessageRecord(memory)
    var leaving = LeftMessage(index: due.index, dueMs: record.dueMs, atMs: atMs)
    if let topic = topic(message.pointee.topic) {
      if record.flags & RecordFlags.expiryMarker != 0 {
        markerLeft(record, topic)
      } else {
        leaving.offset = topic.log.append(copyOf: record, releasedMs: atMs)
        topic.pendingCount -= 1
        counters.released += 1
        counters.latenessMsSum &+= UInt64(max(0, atMs - due.dueMs))
        // The record that says so follows at once; in replay nobody reads.
        if !isReplaying { appended(topic, by: records.nextSequence) }
      }
    }
    if left.count >= LeftMessage.countMax { bookLeft(limit: settings.releasesPerTurn) }
    message.pointee.timer = PendingSlab.hasLeft
    left.append(leaving)
    return true
  }
}

extension Broker: DelayStoreOwner {
  /// Takes a message that came from disk into memory.
  public func cameNear(_ record: MessageRecord, hash: IDHash, slice: UInt32, position: Int) {
    let slot = slab.insert(copyOf: record)
    let message = slab[slot]
    message.pointee.sequence = record.sequence
    message.pointee.dueMs = record.dueMs
    message.pointee.hash = hash
    message.pointee.topic = record.topic
    message.pointee.copySlice = slice
    message.pointee.copyPosition = position
    store.index.set(hash, .memory(slot))
    startMessageTimer(slot)
  }

  /// Whether the topic is there.
  public func isAlive(topic: UInt32) -> Bool { topics[topic] != nil }

  /// Stops the broker.
  public func storeIsDamaged(_ error: StorageError) { fail(error) }
}
