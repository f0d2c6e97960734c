// What consumers read by the remoting protocol: the messages of a queue from an offset on, single messages, places in time.

import Broker
import LineProtocol
import Primitives
import RemotingProtocol
import TopicLog

/// What a pull wants, and how far it has come.
public struct PullState {
  /// The topic.
  public let topic: Topic
  /// Where it reads on.
  public var cursor: QueueCursor
  /// Messages of one answer, at most.
  public let messagesMax: Int
  /// The tags wanted; nil for all.
  public let tags: [[UInt8]]?

  /// Puts the parts together.
  public init(topic: Topic, cursor: QueueCursor, messagesMax: Int, tags: [[UInt8]]?) {
    self.topic = topic
    self.cursor = cursor
    self.messagesMax = messagesMax
    self.tags = tags
  }
}

/// How a reading for a pull ended.
public enum PullEnd: Equatable {
  /// With as many messages as may be, or at the end of the queue.
  case enough
  /// At a part of the topic that has to come from disk.
  case loading
  /// After very many messages of other tags: nothing was found so far, and there may be more.
  case tired
}

extension RocketMQFrontEnd {
  /// Bytes of one answer: the message that reaches them is the last.
  static let pullBytesMax = 256 << 10
  /// Messages of other tags that one pull passes over.
  static let passedMax = 65_536

  /// The tags that a pull wants, by its own words or by those of its group's heartbeats; nil for all.
  public func tags(_ pull: PullRequest) throws(WireStop) -> [[UInt8]]? {
    if let type = pull.expressionType, !type.isEmpty, !type.equals("TAG") {
      let shown = String(decoding: type.prefix(32), as: UTF8.self)
      throw .refused(.systemError, "this broker does not support filters of type \(shown); use tags joined by ||")
    }
    if let own = pull.subscription { return try Self.tags(own) }
    let group = String(decoding: pull.group, as: UTF8.self)
    guard let known = groups.subscription(of: group, to: String(decoding: pull.topic, as: UTF8.self)) else {
      return nil
    }
    return try known.expression.withBytes { text throws(WireStop) in try Self.tags(text) }
  }

  private static func tags(_ expression: UnsafeRawBufferPointer) throws(WireStop) -> [[UInt8]]? {
    do throws(Refusal) { return try TagExpression.parse(expression) } catch {
      throw .refused(.subscriptionParseFailed, error.message)
    }
  }

  /// Appends the messages of a queue that a pull wants. Gives how many, and why it ended.
  public func read(_ pull: inout PullState, to out: inout ByteBuffer) -> (count: Int, end: PullEnd) {
    let start = out.count
    var count = 0
    var passed = 0
    while count < pull.messagesMax, out.count - start < Self.pullBytesMax {
      switch pull.topic.log.read(&pull.cursor) {
      case .record(let record):
        if Self.isWanted(record, pull.tags) {
          append(record, pull.topic, queueOffset: pull.cursor.offset, to: &out)
          count += 1
        } else {
          passed += 1
          if passed == Self.passedMax, count == 0 { return (0, .tired) }
        }
        pull.cursor.pass(record)
      case .lost(let record): pull.cursor.pass(record)
      case .loading: return (count, count > 0 ? .enough : .loading)
      case .trimmed:
        let first = pull.topic.log.offsets(ofQueue: pull.cursor.queue).lowerBound
        pull.cursor = QueueCursor(queue: pull.cursor.queue, offset: first)
      case .end, .forgotten: return (count, .enough)
      }
    }
    return (count, .enough)
  }

  private static func isWanted(_ record: MessageRecord, _ tags: [[UInt8]]?) -> Bool {
    guard let tags else { return true }
    let tag = record.tag
    return tags.contains { $0.withUnsafeBytes { $0.equals(tag) } }
  }

  private func append(_ record: MessageRecord, _ topic: Topic, queueOffset: UInt64, to out: inout ByteBuffer) {
    let place = MessagePlace.released(topic: topic.number, offset: record.sequence)
    topic.nameBytes.withBytes { name in
      var message = outgoing.make(record, topic: name, place: place, queueOffset: Int64(queueOffset))
      message.storeHost = wireSettings.host
      // Its topic and its properties fit, and so does any body that a record can have.
      try? out.append(message)
    }
  }

  /// Appends one message, by its place. False when it is not there any more, or not yet.
  public func view(_ place: MessagePlace?, connection: UInt64, to out: inout ByteBuffer) throws(WireStop) -> Bool {
    guard let (topic, record) = try find(place, connection) else { return false }
    guard let queueOffset = topic.log.offset(inQueue: record.queue, atOrAfter: record.sequence) else {
      broker.waitForLoad(of: topic, connection)
      throw .waitForDisk
    }
    append(record, topic, queueOffset: queueOffset, to: &out)
    return true
  }

  /// The message at a place of a topic; nil when it is gone, or never was there.
  func find(_ place: MessagePlace?, _ connection: UInt64) throws(WireStop) -> (Topic, MessageRecord)? {
    guard case .released(let number, let offset)? = place, let topic = broker.topic(number), !topic.isQueue else {
      return nil
    }
    var cursor = TopicCursor(offset: offset)
    switch topic.log.read(&cursor) {
    case .record(let record): return (topic, record)
    case .loading:
      broker.waitForLoad(of: topic, connection)
      throw .waitForDisk
    case .end, .trimmed, .forgotten, .lost: return nil
    }
  }

  /// The offset of the first message of a queue that was released at or after a time; the end of the queue when there is none.
  public func offset(
    ofQueue queue: UInt8, in topic: Topic, atOrAfterMs timeMs: UnixMs, connection: UInt64
  ) throws(WireStop) -> UInt64 {
    if let place = topic.log.offset(atOrAfterMs: timeMs),
      let offset = topic.log.offset(inQueue: queue, atOrAfter: place)
    {
      return offset
    }
    broker.waitForLoad(of: topic, connection)
    throw .waitForDisk
  }
}
