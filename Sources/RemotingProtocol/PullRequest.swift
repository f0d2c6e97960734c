// The fields of a pull.

/// A pull, read from its header. The views are good as long as the header is.
public struct PullRequest {
  /// The group of the consumer.
  public let group: UnsafeRawBufferPointer
  /// The topic.
  public let topic: UnsafeRawBufferPointer
  /// The queue.
  public let queueID: Int32
  /// The offset of the first message wanted.
  public let queueOffset: Int64
  /// The most messages wanted.
  public let messagesMax: Int32
  /// Whether `commitOffset` is to be kept as the group's offset.
  public let commits: Bool
  /// Whether the request is to be held when nothing is there; a pull of an admin or pull consumer is answered at once.
  public let waits: Bool
  /// The offset up to which the group has consumed the queue.
  public let commitOffset: Int64
  /// How long to hold the request, in ms.
  public let waitMs: Int64
  /// The tag expression, where the request has one; without it, that of the heartbeat counts.
  public let subscription: UnsafeRawBufferPointer?
  /// The version of the subscription, Unix ms; 0 for pull consumers.
  public let subscriptionVersion: Int64
  /// `TAG` or `SQL92`; nil from clients that know only tags.
  public let expressionType: UnsafeRawBufferPointer?

  private static let commitBit: Int32 = 1
  private static let waitBit: Int32 = 2
  private static let subscriptionBit: Int32 = 4

  /// Reads the fields.
  ///
  /// - Throws: `missingField`, `malformedField`.
  public init(_ header: RemotingHeader) throws(RemotingError) {
    let fields = header.fields
    group = try fields.requiredString("consumerGroup")
    topic = try fields.requiredString("topic")
    queueID = try fields.requiredInt32("queueId")
    queueOffset = try fields.requiredInt64("queueOffset")
    messagesMax = try fields.requiredInt32("maxMsgNums")
    let sysFlag = try fields.requiredInt32("sysFlag")
    commits = sysFlag & Self.commitBit != 0
    waits = sysFlag & Self.waitBit != 0
    commitOffset = try fields.requiredInt64("commitOffset")
    waitMs = try fields.requiredInt64("suspendTimeoutMillis")
    subscription = sysFlag & Self.subscriptionBit != 0 ? fields.string("subscription") : nil
    subscriptionVersion = try fields.int64("subVersion") ?? 0
    expressionType = fields.string("expressionType")
  }
}
