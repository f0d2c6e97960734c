// A queue: a topic with one group that forgets a message when it is acknowledged, whose waiting messages may expire, and
// whose length may be bounded. These are abilities of the broker; front ends give them their names.
//
// Holds: a message of a queue is below the group's cursor and outstanding, or at or above it and waiting, or ended;
// `ended` holds the ended ones above the cursor and never the cursor itself; a waiting or outstanding message with a time
// to live has a marker in the wheel or the delay store, or its marker has left and it stands in `overdue`, in
// `immediate`, or is marked expired while it is with a consumer.
// Leaves to others: where dead letters go (`DeadLetterRouter`), what a queue is called and who may use it (front ends).

import Primitives

/// Why a message left a queue without being acknowledged.
public enum EndReason: UInt8, Sendable {
  /// Delivered as often as the queue allows.
  case deliveryLimit = 0
  /// Refused for good by a consumer.
  case rejected
  /// Its time to live is over.
  case expired
  /// The queue was longer than it may be.
  case tooLong
}

/// Says where dead letters go. The front end that made the queues implements it.
public protocol DeadLetterRouter: AnyObject {
  /// Whether messages of the queue go anywhere when they end.
  func hasDeadLetters(_ group: Group) -> Bool
  /// Sends a message on by `Broker.enqueue(…, endOf:)`; false when it goes nowhere, and is to be dropped.
  func routeDeadLetter(_ record: MessageRecord, of group: Group, because reason: EndReason) -> Bool
  /// The timer that `Broker.startIdleTimer` started has run out.
  func idleTimerFired(_ group: Group)
}

/// Bits of a record's flags that the broker gives a meaning to.
public enum RecordFlags {
  /// Not a message: it stands in the wheel for the time to live of the queued message whose offset is its id.
  public static let expiryMarker: UInt32 = 1 << 31
  /// The message is dropped when the server starts again.
  public static let transient: UInt32 = 1 << 30
}

/// What a queue adds to its group.
public final class QueueContents {
  /// Drops the oldest ready messages beyond so many; nil for no bound.
  public var messagesMax: Int?
  /// Drops the oldest ready messages while their bodies have more bytes than this; nil for no bound.
  public var bytesMax: Int? { didSet { if bytesMax == nil { readyBytes = 0 } } }
  /// Whether the bounds drop the oldest; otherwise whoever publishes asks `hasRoom` before.
  public var dropsOldest = true
  /// Whether persistent messages are to be on stable storage before they are shown.
  public var isDurable = true
  /// Bytes in the bodies of ready messages; kept only when `bytesMax` is set.
  public internal(set) var readyBytes = 0
  var ended = OffsetSet()
  var transient = OffsetSet()
  /// Messages whose time to live was nothing: to be delivered at once or never.
  var immediate: [TopicOffset] = []
  var idleTimer = PendingSlab.noTimer
  var isUnsettled = false
  /// Messages that have ended since segments were looked at.
  var endedSinceLook = 0
  var mayTrim = false

  /// Forgets what is said of messages from `offset` on.
  func forgetLost(from offset: TopicOffset) {
    for lost in ended.offsets where lost >= offset { ended.remove(lost) }
    for lost in transient.offsets where lost >= offset { transient.remove(lost) }
    immediate.removeAll { $0 >= offset }
  }

  /// A retention that means: until acknowledged.
  static let retentionMs: Int64 = -1
}

extension Group {
  /// Messages of a queue that could be delivered now. O(1).
  public var readyCount: Int {
    guard let contents else { return 0 }
    let above = Int(topic.log.nextOffset - min(cursor.offset, topic.log.nextOffset)) - contents.ended.count
    return above + outstanding.count - inFlightCount - dyingCount
  }

  /// Whether a bounded queue would still be within its bounds with one more message, whose body has so many bytes. O(1).
  public func hasRoom(bodyBytes: Int) -> Bool {
    guard let contents else { return true }
    if let messagesMax = contents.messagesMax, readyCount >= messagesMax { return false }
    guard let bytesMax = contents.bytesMax else { return true }
    return bodyBytes <= bytesMax - contents.readyBytes
  }

  var isTooLong: Bool {
    guard let contents, contents.dropsOldest else { return false }
    return readyCount > contents.messagesMax ?? .max || contents.readyBytes > contents.bytesMax ?? .max
  }
}

/// Work that queues have left for later in the turn, or for later turns.
final class QueueWork {
  /// Waiting messages whose marker has left, in that order; `overdueHead` of them are done.
  var overdue: [(topic: UInt32, offset: TopicOffset)] = []
  var overdueHead = 0
  /// Whether the first of them waits for the disk.
  var isStalled = false
  var unsettled: [Group] = []
  var trimmable: [Group] = []
  var leftMarkers: [LeftMarkers] = []

  var hasOverdue: Bool { overdueHead < overdue.count }
}

/// Markers of messages that have ended, still to be taken back.
struct LeftMarkers {
  let topic: Topic
  var offsets: Range<TopicOffset>
}

/// A queue that a message goes to.
public struct QueueTarget {
  /// The queue.
  public let group: Group
  /// How long it may wait there; nil for ever.
  public var timeToLiveMs: Int64?

  /// Puts the two together.
  public init(_ group: Group, timeToLiveMs: Int64?) {
    self.group = group
    self.timeToLiveMs = timeToLiveMs
  }
}
