// What clients know: what they were told, and by whom.
//
// Holds: it sees what was shown, never what a node had in memory.
// Leaves to others: whether what was shown is in the log (TrueHistory).

import Primitives

/// The clients' book.
struct ClusterLedger {
  struct Message {
    let topic: Int
    let dueMs: UnixMs
    /// When it was accepted, by the clock of the node that showed it; nil as long as nobody was told.
    var acceptedMs: UnixMs?
    var isCancelled = false
    var wasReleased = false
    /// A cancel was sent, and it is not known what became of it.
    var mayBeCancelled = false
  }

  /// A message as it stands in a topic.
  struct Read {
    let id: String
    let dueMs: UnixMs
    let releasedMs: UnixMs
  }

  private(set) var messages: [String: Message] = [:]
  /// Deliveries whose acknowledgement was confirmed.
  private var acked: Set<String> = []
  private(set) var complaints: [String] = []
  private(set) var shown = 0
  private(set) var accepted = 0
  private(set) var delivered = 0
  private(set) var cancelled = 0

  mutating func complain(_ text: String) { if complaints.count < 20 { complaints.append(text) } }

  mutating func sent(_ id: String, topic: Int, dueMs: UnixMs) {
    if messages[id] == nil { messages[id] = Message(topic: topic, dueMs: dueMs) }
  }

  mutating func sentCancel(_ id: String) { messages[id]?.mayBeCancelled = true }

  /// A client was told that the message is accepted, now or before.
  mutating func accepted(_ id: String, dueMs: UnixMs, acceptedMs: UnixMs) {
    guard let message = messages[id] else { return complain("\(id) was accepted and never sent") }
    if message.dueMs != dueMs { complain("\(id) is due at \(dueMs) and was sent for \(message.dueMs)") }
    if message.acceptedMs == nil {
      messages[id]?.acceptedMs = acceptedMs
      accepted += 1
    }
  }

  /// A client was told that it came too late to cancel a message.
  mutating func foundReleased(_ id: String) {
    messages[id]?.wasReleased = true
    if messages[id]?.isCancelled == true { complain("\(id) was cancelled, and is said to be released") }
  }

  mutating func cancelled(_ id: String) {
    if messages[id]?.wasReleased == true { complain("\(id) was released, and is said to be cancelled") }
    messages[id]?.isCancelled = true
    cancelled += 1
  }

  mutating func acknowledged(topic: Int, offset: TopicOffset) { acked.insert("\(topic)/\(offset)") }

  /// A consumer was shown a message.
  mutating func delivered(_ read: Read, topic: Int, offset: TopicOffset, serviceMs: UnixMs) {
    delivered += 1
    if acked.contains("\(topic)/\(offset)") { complain("offset \(offset) of topic \(topic) came again after its end") }
    judge(read, topic: topic)
    if serviceMs < read.dueMs { complain("\(read.id) was due at \(read.dueMs) and shown at \(serviceMs)") }
  }

  private mutating func judge(_ read: Read, topic: Int) {
    guard let message = messages[read.id] else { return complain("\(read.id) came and was never sent") }
    if message.isCancelled { complain("\(read.id) was cancelled and came") }
    // A message that was accepted when it was due already may be given a later time, behind what stands before it.
    let mayBeLater = read.dueMs > message.dueMs && message.acceptedMs.map { $0 >= message.dueMs } ?? true
    if message.topic != topic || message.dueMs != read.dueMs && !mayBeLater {
      complain("\(read) in \(topic) is not what was sent: \(message)")
    }
    if read.releasedMs < read.dueMs { complain("\(read.id) left \(read.dueMs - read.releasedMs) ms early") }
  }

  mutating func noteShown() { shown += 1 }

  /// The whole of a topic at the end.
  mutating func judge(topic: Int, _ log: [Read]) {
    var seen: Set<String> = []
    for read in log {
      if !seen.insert(read.id).inserted { complain("\(read.id) was released twice") }
      judge(read, topic: topic)
    }
    for (id, message) in messages where message.topic == topic && message.acceptedMs != nil {
      if !message.isCancelled, !message.mayBeCancelled, !seen.contains(id) {
        complain("\(id) was accepted and is lost")
      }
    }
    for (earlier, later) in zip(log, log.dropFirst()) {
      if later.releasedMs < earlier.releasedMs { complain("\(later.id) was released before \(earlier.id)") }
      if later.dueMs < earlier.dueMs, isEarly(later), isEarly(earlier) {
        complain("\(later) stands behind \(earlier), which was due later")
      }
    }
  }

  /// Whether the message was accepted long before it was due, whichever clock is asked: one that is accepted late leaves as
  /// early as it can.
  private func isEarly(_ read: Read) -> Bool {
    messages[read.id]?.acceptedMs.map { $0 < read.dueMs - 5000 } ?? false
  }
}
