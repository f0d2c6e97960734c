// What RocketMQ keeps beside a message, in our terms: tags are the tag, the sharding key is the ordering key, keys and
// properties are headers. So a native consumer sees the same message, and a RocketMQ consumer sees native ones.
//
// Holds: user properties cannot have the names that RocketMQ itself uses; what is in the headers is JSON between quotes.

import Broker
import LineProtocol
import Primitives

/// Names of headers and properties.
public enum PropertyName {
  /// The keys of the message, joined by blanks.
  public static let keys = "KEYS"
  /// How often the message was retried.
  public static let reconsumeTimes = "RECONSUME_TIMES"
  /// The topic it came from before its first retry.
  public static let retryTopic = "RETRY_TOPIC"
  /// The id it had before its first retry.
  public static let originMessageID = "ORIGIN_MESSAGE_ID"
  /// The sharding key.
  public static let shardingKey = "__SHARDINGKEY"
  /// When a client of the remoting protocol made the message, Unix ms.
  static let bornTimestamp = "BORN_TIMESTAMP"
  /// Where that client was.
  static let bornHost = "BORN_HOST"
  /// The number that the user gave the message, when it is not 0.
  static let messageFlag = "MESSAGE_FLAG"

  /// Names that a sender cannot use for properties of its own.
  /// - Source: RocketMQ's `MessageConst.STRING_HASH_SET`, and what this front end writes.
  static let reserved: Set<String> = [
    keys, reconsumeTimes, retryTopic, originMessageID, shardingKey, "TRACE_ON", "MSG_REGION", "TAGS", "WAIT", "DELAY",
    "REAL_TOPIC", "REAL_QID", "TRAN_MSG", "PGROUP", "MIN_OFFSET", "MAX_OFFSET", "BUYER_ID", "TRANSFER_FLAG",
    "CORRECTION_FLAG", "MQ2_FLAG", "RECONSUME_TIME", "MAX_RECONSUME_TIMES", "UNIQ_KEY", "CONSUME_START_TIME",
    "TRAN_PREPARED_QUEUE_OFFSET", "TRANSACTION_CHECK_TIMES", "CHECK_IMMUNITY_TIME_IN_SECONDS", "INSTANCE_ID",
    "CORRELATION_ID", "REPLY_TO_CLIENT", "TTL", "TIMER_DELAY_SEC", "TIMER_DELAY_MS", "TIMER_DELIVER_MS",
    "TIMER_ENQUEUE_MS", "TIMER_DEQUEUE_MS", "TIMER_ROLL_TIMES", "TIMER_OUT_MS", "TIMER_DEL_UNIQKEY",
    "TIMER_DELAY_LEVEL", "POP_CK", "POP_CK_OFFSET", "FIRST_POP_TIME",
  ]
}

/// What a RocketMQ consumer is shown of a message's headers.
struct MessageHeaders {
  /// As it stands between quotes; nil when there are none.
  var keys: UnsafeRawBufferPointer?
  var reconsumeTimes: Int64 = 0
  /// The topic it came from before its first retry; nil when it was never retried.
  var retryTopic: UnsafeRawBufferPointer?
  /// Whether it has an id from before its first retry.
  var hasOriginMessageID = false

  init(_ record: MessageRecord) {
    guard record.headers.count > 0 else { return }
    HeaderText.forEachField(record.headers) { _, name, value in
      if name.elementsEqual(PropertyName.keys.utf8) { keys = value }
      if name.elementsEqual(PropertyName.retryTopic.utf8) { retryTopic = value }
      if name.elementsEqual(PropertyName.originMessageID.utf8) { hasOriginMessageID = true }
      if name.elementsEqual(PropertyName.reconsumeTimes.utf8) {
        reconsumeTimes = max(0, Int64(String(decoding: value, as: UTF8.self)) ?? 0)
      }
    }
  }

  /// The headers of the next retry of a message.
  ///
  /// - Parameter originID: what it was called before its first retry; its own id when nothing is said.
  func forRetry(originID: String? = nil, of record: MessageRecord, topic: String) -> [UInt8] {
    var additions = [(PropertyName.reconsumeTimes, String(reconsumeTimes.addingReportingOverflow(1).partialValue))]
    if retryTopic == nil { additions.append((PropertyName.retryTopic, topic)) }
    if !hasOriginMessageID { additions.append((PropertyName.originMessageID, originID ?? Self.quotable(record.id))) }
    return HeaderText.merged(record.headers, additions)
  }

  /// A text as it stands between the quotes of a JSON string.
  private static func quotable(_ text: UnsafeRawBufferPointer) -> String {
    var buffer = ByteBuffer(capacity: text.count + 2)
    buffer.appendJSONString(text)
    return String(decoding: buffer.readable.dropFirst().dropLast(), as: UTF8.self)
  }
}
