// What a queue does besides its group: a topic with one group that forgets a message when it is acknowledged, whose waiting
// messages may expire, and whose length may be bounded. These are abilities of the broker; front ends give them their names.
//
// Holds: a message of a queue is below the group's cursor and outstanding, or at or above it and waiting, or ended; a waiting
// or outstanding message with a time to live has an expiry timer in the wheel or the delay store, or the timer has fired and
// the message stands in `overdue` of the queues, in `immediate`, or is marked expired while it is with a consumer.
// Leaves to others: work that spans queues (Queues), where dead letters go (DeadLetterRouter), what a queue is called and who
// may use it (front ends).
//
// The groups know of queues only what they tell here: a message has ended, was handed to a consumer, has come back, is to be
// dead-lettered, is found to be too old.
//
// No exclusivity checks on what every message touches: one thread owns it.

import Primitives
import TimingWheel

/// Bits of a record's flags that the broker gives a meaning to.
public enum RecordFlags {
  /// Not a message: an expiry timer, for the time to live of the queued message whose offset is its id.
  public static let expiryTimer: UInt32 = 1 << 31
  /// The message is dropped when the server starts again.
  public static let transient: UInt32 = 1 << 30
  /// The bits of a message's priority, for queues that go by it.
  public static func priority(_ priority: UInt8) -> UInt32 { UInt32(priority) << 20 }
}

/// The rules of a queue, and the state that they need about its messages.
public final class QueueRules {
  /// Drops the oldest ready messages beyond so many; nil for no bound.
  @exclusivity(unchecked) public var messagesMax: Int?
  /// Drops the oldest ready messages while their bodies have more bytes than this; nil for no bound.
  @exclusivity(unchecked) public var bytesMax: Int? { didSet { if bytesMax == nil { readyBytes = 0 } } }
  /// Whether the bounds drop the oldest; otherwise whoever publishes asks `hasRoom` before.
  @exclusivity(unchecked) public var dropsOldest = true
  /// Delivers ready messages of a higher priority first; those above this count as this. 0: in the order in which they came.
  @exclusivity(unchecked) public var prioritiesMax: UInt8 = 0
  /// How long what comes back waits before it is delivered again; nil: not at all.
  @exclusivity(unchecked) public var retry: RetryRule?
  /// Serves one consumer at a time: the first that came and has not gone.
  @exclusivity(unchecked) public var hasSingleActive = false
  /// Whether persistent messages are to be on stable storage before they are shown.
  @exclusivity(unchecked) public var isDurable = true
  /// Whether messages that end go anywhere: then the router is asked where.
  @exclusivity(unchecked) public var hasDeadLetters = false

  /// Bytes in the bodies of ready messages; kept only when `bytesMax` is set.
  @exclusivity(unchecked) public private(set) var readyBytes = 0
  /// Messages that do not survive a start.
  @exclusivity(unchecked) private(set) var transient = OffsetSet()
  /// Messages whose time to live was nothing: to be delivered at once or never.
  @exclusivity(unchecked) private(set) var immediate: [TopicOffset] = []
  /// Runs while nobody uses a queue that is to be listed as idle after some time.
  @exclusivity(unchecked) private(set) var idleTimer = TimerID.none
  /// Whether it stands in the line of queues whose rules are to be enforced at once.
  @exclusivity(unchecked) private(set) var isUrgent = false
  /// Whether it stands in the line of queues to be trimmed.
  @exclusivity(unchecked) private(set) var mayTrim = false
  /// Messages that have ended since segments were looked at.
  @exclusivity(unchecked) private(set) var endedSinceLook = 0
  private unowned let queues: Queues

  init(_ queues: Queues) { self.queues = queues }

  // MARK: What groups tell

  /// A message has ended.
  func ended(_ offset: TopicOffset, in group: Group) {
    if transient.count > 0 { transient.remove(offset) }
    if group.topic.pendingCount > 0, !group.topic.isRelay { queues.stopExpiry(of: offset, in: group.topic) }
    endedSinceLook += 1
    noteTrimmable(group)
  }

  /// A message goes to a consumer. Gives the bytes of its body, if they are counted.
  func handed(_ message: MessageRecord) -> UInt32 {
    guard bytesMax != nil else { return 0 }
    readyBytes -= message.body.count
    return UInt32(message.body.count)
  }

  /// A message has come back from a consumer, and is ready again.
  func gotBack(bodyBytes: Int, in group: Group) {
    readyBytes += bodyBytes
    if isTooLong(group) { queues.markUrgent(group) }
  }

  /// A message is to be dead-lettered that was with a consumer.
  func deadLetter(_ message: MessageRecord, _ reason: EndReason, in group: Group) {
    queues.deadLetter(message, reason, in: group)
  }

  /// Ends a message instead of delivering it when its time to live is over; false when it is not. Expiry would end the
  /// message, too, but after a start, and when very many messages expire at once, consumers may be faster.
  @inline(__always) func endIfOver(_ message: MessageRecord, in group: Group) -> Bool {
    guard message.dueMs < queues.turn.nowMs else { return false }
    queues.endReady(message, .expired, in: group)
    return true
  }

  func priority(of message: MessageRecord) -> UInt8 {
    min(UInt8(truncatingIfNeeded: message.flags >> 20), prioritiesMax)
  }

  // MARK: What queues note

  /// A message was appended at `offset`.
  func appended(_ parts: MessageParts, at offset: TopicOffset, isImmediate: Bool) {
    if parts.flags & RecordFlags.transient != 0 { transient.insert(offset) }
    if isImmediate { immediate.append(offset) }
    if bytesMax != nil { readyBytes += parts.body.count }
  }

  /// A ready message ends without having been handed to anybody.
  func noteEndOfReady(_ message: MessageRecord) {
    if bytesMax != nil { readyBytes -= message.body.count }
  }

  func setReadyBytes(_ bytes: Int) { readyBytes = bytes }

  func takeImmediate() -> [TopicOffset] {
    defer { immediate = [] }
    return immediate
  }

  /// Puts messages back that could neither be delivered nor ended yet.
  func putBack(immediate offsets: [TopicOffset]) { immediate = offsets + immediate }

  /// A waiting message was purged.
  func noteEndOfTransient(_ offset: TopicOffset) {
    if transient.count > 0 { transient.remove(offset) }
  }

  func noteTrimmable(_ group: Group) {
    guard !mayTrim else { return }
    mayTrim = true
    queues.addTrimmable(group)
  }

  func setTrimmed() { mayTrim = false }

  func noteLook() { endedSinceLook = 0 }

  func setUrgent(_ isUrgent: Bool) { self.isUrgent = isUrgent }

  func setIdleTimer(_ timer: TimerID) { idleTimer = timer }

  func recover(transient offsets: OffsetSet) { transient = offsets }

  /// After a salvage: forgets what is said of messages from `offset` on.
  func forgetLost(from offset: TopicOffset) {
    for lost in transient.offsets where lost >= offset { transient.remove(lost) }
    immediate.removeAll { $0 >= offset }
  }

  // MARK: Bounds

  /// Whether the oldest messages are to be dropped.
  func isTooLong(_ group: Group) -> Bool {
    dropsOldest && (group.readyCount > messagesMax ?? .max || readyBytes > bytesMax ?? .max)
  }

  func checkInvariants(_ group: Group) {
    precondition(readyBytes >= 0 && (bytesMax != nil || readyBytes == 0), "bytes are counted for bounded queues only")
    for offset in transient.offsets {
      precondition(offset >= group.committed && !group.endedAhead.contains(offset), "only what is there is transient")
    }
  }
}

extension Group {
  /// Whether a bounded queue would still be within its bounds with `count` more messages of so many bytes of body. O(1).
  public func hasRoom(bodyBytes: Int, times count: Int) -> Bool {
    guard let queue else { return true }
    if let messagesMax = queue.messagesMax, readyCount + count > messagesMax { return false }
    guard let bytesMax = queue.bytesMax else { return true }
    return bodyBytes * count <= bytesMax - queue.readyBytes
  }
}
