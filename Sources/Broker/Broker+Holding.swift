// Held messages: accepted and durable, in no topic, until their owner says what shall become of them. The owner is asked
// now and then; one that never answers has abandoned its message.
//
// Holds: a held message ends in one of three ways, each one record: released into its topic, dropped, or abandoned into the
// topic for that. What became of it is remembered for the id window, so that a repeated answer gets the true outcome.
// Leaves to others: who the owner is and how to ask it (`Notice.heldCheck`).

import Primitives
import TimingWheel
import TopicLog

/// The number of a held message: the sequence in its record.
public typealias HeldNumber = UInt64

/// A message held back. Its record is good as long as the broker holds it.
public final class HeldMessage {
  /// Its number.
  public let number: HeldNumber
  /// Who decides about it: a name.
  public let owner: String
  /// How often the owner has been asked.
  public internal(set) var checks: UInt32
  /// The message.
  public let record: MessageRecord
  var nextCheckMs: UnixMs
  var timer = TimerID.none

  init(copyOf record: MessageRecord, owner: String, checks: UInt32, nextCheckMs: UnixMs) {
    let memory = UnsafeMutableRawPointer.allocate(byteCount: record.length, alignment: 8)
    memory.copyMemory(from: record.base, byteCount: record.length)
    self.record = MessageRecord(memory)
    number = record.sequence
    self.owner = owner
    self.checks = checks
    self.nextCheckMs = nextCheckMs
  }

  deinit { record.base.deallocate() }

  /// Its id.
  public var id: GeneratedID { GeneratedID(number) }
  /// Memory it takes, about.
  var bytes: Int { record.length + owner.utf8.count + 160 }
}

/// What an owner says about a held message.
public enum HeldVerdict: Sendable {
  /// Into its topic with it.
  case release
  /// Away with it.
  case drop
  /// Nothing yet.
  case undecided
}

/// What became of a held message.
public enum HeldOutcome: Equatable, Sendable {
  case released(offset: TopicOffset)
  case dropped
  case abandoned
  case held
  /// There is none of this id, or it ended longer ago than ids are remembered.
  case unknown
}

extension Broker {
  /// Takes a message and shows it to nobody before `decide` releases it.
  ///
  /// - Returns: the id of the server's making, by which it is decided about and under which it will be released.
  /// - Throws: `bodyTooLarge`, `notFound`, `diskFull`; `limitExceeded` when too much is held already.
  public func hold(
    topic name: UnsafeRawBufferPointer, _ parts: MessageParts, owner: UnsafeRawBufferPointer
  ) throws(BrokerStop) -> Answer<GeneratedID> {
    try requireSpace()
    try requireFitting(parts)
    guard heldBytes + parts.recordLength <= settings.heldBytesMax else {
      throw .refuse(.limitExceeded, "\(held.count) messages are held, and there is no memory set aside for more")
    }
    let topic = try topicOnUse(name)
    let madeID = acceptWithMadeID(parts) { parts in
      let sequence = MessageSequence.of(record: records.nextSequence)
      let nextCheckMs = nowRoundedUpMs + settings.heldFirstCheckMs
      let length = parts.recordLength
      let start = 10 + owner.count
      var record: MessageRecord?
      records.append(kind: DecisionKind.held.rawValue, payloadCapacity: start + length) { payload in
        let base = payload.baseAddress!
        base.storeBytes(of: nextCheckMs.littleEndian, as: Int64.self)
        base.storeBytes(of: UInt16(owner.count).littleEndian, toByteOffset: 8, as: UInt16.self)
        if let name = owner.baseAddress { (base + 10).copyMemory(from: name, byteCount: owner.count) }
        MessageRecord.write(
          parts, sequence: sequence, dueMs: nowMs, stampMs: nowMs, topic: topic.number, at: base + start)
        record = MessageRecord(base + start)
        return start + length
      }
      keep(
        HeldMessage(
          copyOf: record!, owner: String(decoding: owner, as: UTF8.self), checks: 0, nextCheckMs: nextCheckMs))
    }
    return answer(madeID)
  }

  /// Decides about a held message. Asked again, it answers what became of it the first time.
  public func decide(_ id: UnsafeRawBufferPointer, _ verdict: HeldVerdict) throws(BrokerStop) -> Answer<HeldOutcome> {
    try requireWorking()
    guard let number = GeneratedID(id)?.sequence, let message = held[number] else {
      switch fate(of: heldHash(id)) {
      case .released(let offset, _): return answer(.released(offset: offset))
      case .cancelled: return answer(.dropped)
      case .abandoned: return answer(.abandoned)
      case nil: return answer(.unknown)
      }
    }
    switch verdict {
    case .undecided: return answer(.held)
    case .release:
      recordHeld(.heldReleased, number)
      let offset = release(message, atMs: nowMs)
      counters.published += 1
      return answer(.released(offset: offset))
    case .drop:
      recordHeld(.heldDropped, number)
      end(message, .cancelled, atMs: nowMs)
      return answer(.dropped)
    }
  }

  /// A held message; nil when it has ended.
  public func heldMessage(_ number: HeldNumber) -> HeldMessage? { held[number] }

  /// The name of a held message's topic.
  public func topicName(of message: HeldMessage) -> String { topics[message.record.topic]!.name }

  // MARK: State

  /// Held messages in the order in which they came.
  var heldInOrder: [HeldMessage] { held.values.sorted { $0.number < $1.number } }

  // No topic has this number: the ids of held messages are remembered apart from those in topics.
  private func heldHash(_ id: UnsafeRawBufferPointer) -> IDHash { hasher.hash(topic: .max, id: id) }

  private func keep(_ message: HeldMessage) {
    held[message.number] = message
    heldBytes += message.bytes
    if !isReplaying { startHeldTimer(message) }
  }

  /// Takes up one that a checkpoint has.
  func keep(_ state: CheckpointState.HeldState) {
    state.record.withUnsafeBytes { bytes in
      keep(
        HeldMessage(
          copyOf: MessageRecord(bytes.baseAddress!), owner: state.owner, checks: state.checks,
          nextCheckMs: state.nextCheckMs))
    }
  }

  private func release(_ message: HeldMessage, atMs: UnixMs) -> TopicOffset {
    guard let topic = topics[message.record.topic] else { preconditionFailure("a held message without topic") }
    let offset = topic.log.append(copyOf: message.record, releasedMs: atMs)
    let fate = Settled.Fate.released(offset: offset, dueMs: atMs)
    settle(hasher.hash(topic: topic.number, id: message.record.id), fate, atMs: atMs)
    if !isReplaying { appended(topic, by: records.lastSequence) }
    end(message, fate, atMs: atMs)
    return offset
  }

  private func end(_ message: HeldMessage, _ fate: Settled.Fate, atMs: UnixMs) {
    settle(heldHash(message.record.id), fate, atMs: atMs)
    remove(message)
  }

  private func remove(_ message: HeldMessage) {
    stopTimer(message.timer)
    message.timer = TimerID.none
    held[message.number] = nil
    heldBytes -= message.bytes
  }

  /// A topic goes, and what was held for it.
  func dropHeld(of topic: Topic) {
    for message in heldInOrder where message.record.topic == topic.number { remove(message) }
  }

  private func recordHeld(_ decision: DecisionKind, _ number: HeldNumber) {
    records.begin(decision.rawValue)
    records.append(number)
    records.append(nowMs)
    records.finish()
  }

  // MARK: Asking

  func startHeldTimer(_ message: HeldMessage) {
    message.timer = startTimer(dueMs: message.nextCheckMs, TimerTarget(kind: .held, owner: 0, value: message.number))
  }

  func heldTimerFired(_ number: HeldNumber, _ timer: TimerID) {
    guard let message = held[number], message.timer == timer else { return }
    message.timer = TimerID.none
    if message.checks >= settings.heldChecksMax, abandon(message) { return }
    message.nextCheckMs = nowMs + settings.heldCheckIntervalMs
    if message.checks < settings.heldChecksMax {
      message.checks += 1
      records.begin(DecisionKind.heldChecked.rawValue)
      records.append(number)
      records.append(message.nextCheckMs)
      records.finish()
      effects.append(.notice(.heldCheck(number)))
    }
    startHeldTimer(message)
  }

  /// False when no topic can be made for it: then it is tried again later.
  private func abandon(_ message: HeldMessage) -> Bool {
    guard let origin = topics[message.record.topic],
      let target = settings.abandonedTopic.withBytes({ try? topicAlways($0) })
    else { return false }
    let headers = HeaderText.merged(
      message.record.headers,
      [
        ("x-origin-topic", origin.name), ("x-group", message.owner), ("x-attempts", String(message.checks)),
        ("x-reason", "max_checks"),
      ])
    headers.withUnsafeBytes { headers in
      var parts = message.record.parts
      parts.headers = headers
      let length = parts.recordLength
      records.append(kind: DecisionKind.heldAbandoned.rawValue, payloadCapacity: 16 + length) { payload in
        let base = payload.baseAddress!
        base.storeBytes(of: message.number.littleEndian, as: UInt64.self)
        base.storeBytes(of: nowMs.littleEndian, toByteOffset: 8, as: Int64.self)
        MessageRecord.write(
          parts, sequence: message.number, dueMs: message.record.dueMs, stampMs: nowMs, topic: target.number,
          at: base + 16)
        return 16 + length
      }
      _ = target.log.append(parts, dueMs: message.record.dueMs, releasedMs: nowMs)
    }
    appended(target, by: records.lastSequence)
    end(message, .abandoned, atMs: nowMs)
    counters.deadLettered += 1
    return true
  }

  // MARK: Replay

  func replayHeld(_ decision: DecisionKind, _ reader: inout PayloadReader) {
    if decision == .held { return replayHold(&reader) }
    let message = held[reader.read(UInt64.self)]
    let timeMs = reader.read(Int64.self)
    guard let message else { return }
    switch decision {
    case .heldReleased:
      turn.note(timeMs)
      _ = release(message, atMs: timeMs)
    case .heldDropped: end(message, .cancelled, atMs: timeMs)
    case .heldChecked:
      message.checks += 1
      message.nextCheckMs = timeMs
    default:
      appendReplayed(MessageRecord(reader.rest.baseAddress!), atMs: timeMs, isSettled: false)
      end(message, .abandoned, atMs: timeMs)
    }
  }

  private func replayHold(_ reader: inout PayloadReader) {
    let nextCheckMs = reader.read(Int64.self)
    let ownerLength = Int(reader.read(UInt16.self))
    let owner = String(decoding: reader.rest.prefix(ownerLength), as: UTF8.self)
    reader.skip(ownerLength)
    let record = MessageRecord(reader.rest.baseAddress!)
    guard topics[record.topic] != nil else { return }
    keep(HeldMessage(copyOf: record, owner: owner, checks: 0, nextCheckMs: nextCheckMs))
  }
}
