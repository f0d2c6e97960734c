// The fields of a send, the same under the long names of SEND_MESSAGE and under the letters of SEND_MESSAGE_V2 and
// SEND_BATCH_MESSAGE.
//
// Leaves to others: the body (one message, or with `isBatch` a `MessageBatch`), what the values mean.

/// A send, read from its header. The views are good as long as the header is.
public struct SendRequest {
  /// The group of the producer.
  public let group: UnsafeRawBufferPointer
  /// The topic.
  public let topic: UnsafeRawBufferPointer
  /// The queue that the client chose.
  public let queueID: Int32
  /// Bit 0: the body is compressed. Bits 2 and 3: the state of a transaction, 4 for a half message.
  public let sysFlag: Int32
  /// When the client made the message, Unix ms.
  public let bornMs: Int64
  /// A number of the user's.
  public let flag: Int32
  /// The properties; empty when there are none.
  public let properties: MessageProperties
  /// How often it was consumed in vain, when a consumer sends it again itself.
  public let reconsumeTimes: Int32
  /// How often at most; nil when not said.
  public let maxReconsumeTimes: Int32?
  /// Whether the body holds many messages. The C++ client says so with a field, not with the request's code.
  public let isBatch: Bool

  /// Reads the fields of a request with one of the three codes.
  ///
  /// - Throws: `missingField`, `malformedField`.
  public init(_ header: RemotingHeader) throws(RemotingError) {
    let fields = header.fields
    let isShort = header.request != .sendMessage
    group = try fields.requiredString(isShort ? "a" : "producerGroup")
    topic = try fields.requiredString(isShort ? "b" : "topic")
    queueID = try fields.requiredInt32(isShort ? "e" : "queueId")
    sysFlag = try fields.requiredInt32(isShort ? "f" : "sysFlag")
    bornMs = try fields.requiredInt64(isShort ? "g" : "bornTimestamp")
    flag = try fields.requiredInt32(isShort ? "h" : "flag")
    properties = MessageProperties(
      fields.string(isShort ? "i" : "properties") ?? UnsafeRawBufferPointer(start: nil, count: 0))
    reconsumeTimes = try fields.int32(isShort ? "j" : "reconsumeTimes") ?? 0
    maxReconsumeTimes = try fields.int32(isShort ? "l" : "maxReconsumeTimes")
    let saysBatch = try fields.bool(isShort ? "m" : "batch") ?? false
    isBatch = saysBatch || header.request == .sendBatchMessage
  }
}
