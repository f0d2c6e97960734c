// Dead-lettering of messages that were delivered too often, were rejected, or expired while a consumer had them. A group of
// readers has a topic for its dead letters; a queue has rules.

import Primitives
import TopicLog

extension Groups {
  /// Why a message goes to the dead letters, as its `x-reason` says.
  private static let tooManyAttempts = "max_attempts"

  /// Dead-letters the messages in line for it, in order, up to the first one that must be read from disk; a bounded number a
  /// turn.
  func deadLetter(_ group: Group) {
    while let entry = group.outstanding.firstDeadLetter() {
      if turn.deadLettersRemaining == 0 { return markDirty(group) }
      turn.deadLettersRemaining -= 1
      let offset = entry.pointee.offset
      var cursor = TopicCursor(offset: offset)
      switch group.topic.log.read(&cursor) {
      case .record(let message):
        if let queue = group.queue {
          queue.deadLetter(message, EndReason(rawValue: entry.pointee.reason) ?? .deliveryLimit, in: group)
        } else if !deadLetter(message, entry.pointee.attempts, group) {
          return
        }
      case .trimmed, .lost: end(offset, in: group)
      case .loading:
        group.setWaitsForDisk(true)
        return readAhead(group)
      case .end, .forgotten: preconditionFailure("offset \(offset) is out and not in topic \(group.topic.number)")
      }
    }
  }

  /// Asks for the next dead letters, so that they do not wait for one read each.
  private func readAhead(_ group: Group) {
    for distance in 1..<64 {
      guard let next = group.outstanding.deadLetter(ahead: distance) else { break }
      var cursor = TopicCursor(offset: next)
      _ = group.topic.log.read(&cursor)
    }
  }

  /// False when no topic can be made for it. Then the message stays outstanding and is tried again when the group is served
  /// next.
  private func deadLetter(_ message: MessageRecord, _ attempts: UInt32, _ group: Group) -> Bool {
    guard let target = try? group.deadLetterTopic.withBytes({ name throws(BrokerStop) in try topics.always(name) })
    else { return false }
    let headers = HeaderText.merged(
      message.headers,
      [
        ("x-origin-topic", group.topic.name), ("x-origin-offset", String(message.sequence)), ("x-group", group.name),
        ("x-attempts", String(attempts)), ("x-reason", Self.tooManyAttempts),
      ])
    headers.withUnsafeBytes { forward(message, headers: $0, group, to: target) }
    turn.counters.deadLettered += 1
    return true
  }

  /// Ends a message in a group and appends a copy with these headers to another topic.
  func forward(_ message: MessageRecord, headers: UnsafeRawBufferPointer, _ group: Group, to target: Topic) {
    var parts = message.parts
    parts.headers = headers
    recordEnds(group)
    let copy = MessageDraft(
      parts: parts, sequence: 0, dueMs: message.dueMs, stampMs: turn.nowMs, topic: target.number)
    apply(
      turn.write(
        Forwarded(group: group.number, offset: message.sequence, atMs: turn.nowMs, message: .draft(copy))))
    appended(target, by: turn.records.lastSequence)
  }
}
