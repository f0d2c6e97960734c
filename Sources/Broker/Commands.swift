// What the broker can be asked, and what it answers: values without sockets, JSON or clocks in them.

import Primitives

/// When a message is due.
public enum DueTime: Sendable {
  /// So many milliseconds after now.
  case delay(Int64)
  /// At this Unix time in milliseconds.
  case at(UnixMs)
  /// After the delay of this level, 1…n.
  case level(Int64)
}

/// What to do about a message whose id is pending already.
public enum IfExists: Sendable { case keep, replace, reject }

/// A message to be released later. All buffers are the caller's and only looked at during the call.
public struct ScheduleCommand {
  /// Name of the topic.
  public var topic: UnsafeRawBufferPointer
  /// The message; an empty id asks for one of the server's making.
  public var parts: MessageParts
  /// When.
  public var due: DueTime
  /// What if the id is pending.
  public var ifExists = IfExists.keep
  /// Whose command it is, for `waitForDisk`.
  public var connection: UInt64

  /// Puts a command together.
  public init(topic: UnsafeRawBufferPointer, parts: MessageParts, due: DueTime, connection: UInt64) {
    self.topic = topic
    self.parts = parts
    self.due = due
    self.connection = connection
  }
}

/// What became of a schedule or reschedule command.
public struct ScheduleReply: Equatable {
  /// See the protocol page.
  public enum Outcome: Sendable { case scheduled, kept, replaced, released, rescheduled, unknown }
  /// The id the server made; nil when the caller gave one.
  public var madeID: GeneratedID?
  /// When it will be, or was to be, released.
  public var deliverAtMs: UnixMs
  /// What happened.
  public var outcome: Outcome
}

/// What became of a cancel command.
public enum CancelOutcome: Sendable { case cancelled, released, unknown }

/// What became of a publish command.
public struct PublishReply: Equatable {
  /// The id the server made; nil when the caller gave one.
  public var madeID: GeneratedID?
  /// Its offset in the topic.
  public var offset: TopicOffset
}

/// A message's state as `get` shows it. The record is good until the next turn.
public enum MessageState {
  case pending(MessageRecord)
  case released(offset: TopicOffset)
  case cancelled
  case unknown
}

/// An id of the server's making: `m` and 13 base-32 digits of the journal sequence, unique in a data folder.
public struct GeneratedID: Equatable, Sendable {
  /// The sequence of the record that made it.
  public let sequence: Sequence
  /// Length of the text.
  public static let length = 14
  private static let digits: StaticString = "0123456789abcdefghjkmnpqrstvwxyz"

  /// The id that was made by the record of this message sequence.
  public init(_ sequence: Sequence) { self.sequence = sequence }

  /// Reads the text; nil when no id is written so.
  init?(_ text: UnsafeRawBufferPointer) {
    guard text.count == Self.length, text[0] == UInt8(ascii: "m") else { return nil }
    var sequence: Sequence = 0
    for byte in text.dropFirst() {
      let digits = UnsafeBufferPointer(start: Self.digits.utf8Start, count: 32)
      guard sequence >> 59 == 0, let digit = digits.firstIndex(of: byte) else { return nil }
      sequence = sequence << 5 | Sequence(digit)
    }
    self.sequence = sequence
  }

  /// Writes the text to 14 bytes at `base`.
  public func write(to base: UnsafeMutableRawPointer) {
    base.storeBytes(of: UInt8(ascii: "m"), as: UInt8.self)
    var rest = sequence
    for place in stride(from: Self.length - 1, through: 1, by: -1) {
      base.storeBytes(of: Self.digits.utf8Start[Int(rest & 31)], toByteOffset: place, as: UInt8.self)
      rest >>= 5
    }
  }

  /// The text.
  public var text: String {
    String(unsafeUninitializedCapacity: Self.length) { buffer in
      write(to: UnsafeMutableRawPointer(buffer.baseAddress!))
      return Self.length
    }
  }
}

/// Where a new group begins, or an old one is moved to.
public enum StartPosition: Equatable, Sendable {
  case earliest
  case latest
  case offset(TopicOffset)
  case time(UnixMs)
}

/// How a consumer wants to be served.
public struct ConsumerOptions: Sendable {
  /// Unacknowledged messages at a time, 1…65 536.
  public var credit = 100
  /// After this long without acknowledgement a message is delivered again.
  public var ackWaitMs: Int64 = 30_000
  /// After so many deliveries a message goes to the dead letters.
  public var maxAttempts: UInt32 = 16
  /// Where a group that is new begins.
  public var from: StartPosition?
  /// Only messages with one of these tags; nil for all.
  public var tags: [[UInt8]]?
  /// Messages of one key one at a time.
  public var isOrdered = false
  /// Where the group's dead letters go; nil for `<topic>.<group>.dlq`.
  public var deadLetterTopic: String?
  /// Make the topic and the group even where they do not come into being on first use.
  public var createsAlways = false
  /// Free for the server: which front end the consumer belongs to; 0 for none.
  public var frontEnd: UInt8 = 0
  /// Consumers of a higher priority are served before others while they can take something. Only in queues.
  public var priority: Int32 = 0
  /// A delivery is its own acknowledgement. Only in queues.
  public var acknowledgesItself = false
  /// Whether it takes every message, or this one has one of its tags.
  @inline(__always) func wants(_ record: MessageRecord) -> Bool { tags == nil || hasTag(of: record) }

  private func hasTag(of record: MessageRecord) -> Bool {
    let tag = record.tag
    return tags?.contains { $0.withUnsafeBytes { $0.equals(tag) } } ?? true
  }
  /// The ack wait of consumers that may take as long as they like.
  public static let ackWaitForEver = Int64.max

  /// The defaults.
  public init() {}
}

/// Which deliveries an acknowledgement, a refusal or a touch is about.
public enum Selection {
  case one(TopicOffset)
  case list([TopicOffset])
  case upTo(TopicOffset)
}

/// A message on its way to a consumer. Good until the next turn.
public struct Delivery {
  /// Who gets it.
  public let consumer: Consumer
  /// The message; its sequence is the offset, its stamp the time of release.
  public let record: MessageRecord
  /// 1 for the first delivery.
  public let attempt: UInt32
  /// Whether it is shown only when its own records are settled: it is its own acknowledgement, and a crash would show it
  /// again, or the log wants it for every delivery.
  public let waitsForItsEnd: Bool

  init(consumer: Consumer, record: MessageRecord, attempt: UInt32) {
    self.consumer = consumer
    self.record = record
    self.attempt = attempt
    waitsForItsEnd = consumer.waitsForRecords || consumer.options.acknowledgesItself && consumer.keeps(record)
  }

  /// Whether it would come again after a restart, unless its end is durable by then. Only in queues.
  public var isPersistent: Bool { consumer.keeps(record) }

  /// What must be settled before it is shown.
  ///
  /// - Parameter last: the last record of the turn.
  public func gate(last: Sequence) -> Gate {
    Gate(waitsForItsEnd ? last : consumer.topic.restsOn)
  }
}

extension Consumer {
  fileprivate func keeps(_ record: MessageRecord) -> Bool {
    group?.queue?.isDurable == true && record.flags & RecordFlags.transient == 0
  }
}

/// Something for the server to pass on, in order with the deliveries of the turn.
public enum Notice {
  /// A waiting fetch is answered.
  case fetched(Consumer, token: UInt64, [Delivery])
  /// Messages [from, to) were removed by retention before this consumer's group had them.
  case truncated(Consumer, from: TopicOffset, to: TopicOffset)
  /// The topic of this consumer was deleted; it will get nothing more.
  case ended(Consumer)
  /// Something was appended to a topic that this connection watched, or it was deleted; it is watched no more.
  case grown(Topic, connection: UInt64)
  /// The owner of a held message is to be asked what shall become of it.
  case heldCheck(HeldNumber)
  /// A command that got `waitForDisk` can be given again.
  case retry(connection: UInt64)
}

/// A message as `list` shows it.
public struct ListedMessage {
  /// Its record up to the body.
  public var bytes: [UInt8]
  /// When it is due.
  public var dueMs: UnixMs
  /// Its sequence: with `dueMs`, where the next page begins.
  public var sequence: Sequence
}

/// One page of a listing.
public struct ListPage {
  /// The messages, in due order.
  public var messages: [ListedMessage]
  /// Whether there may be more behind the last one.
  public var hasMore: Bool
}

/// What to list.
public struct ListCommand {
  /// Name of the topic.
  public var topic: UnsafeRawBufferPointer
  /// Due times to show.
  public var dueMs: ClosedRange<UnixMs>
  /// At most so many, 1…1000.
  public var limit: Int
  /// The last message of the page before; nil for the first page.
  public var after: (dueMs: UnixMs, sequence: Sequence)?
  /// Whose command it is.
  public var connection: UInt64

  /// Puts a command together.
  public init(
    topic: UnsafeRawBufferPointer, dueMs: ClosedRange<UnixMs>, limit: Int,
    after: (dueMs: UnixMs, sequence: Sequence)?, connection: UInt64
  ) {
    self.topic = topic
    self.dueMs = dueMs
    self.limit = limit
    self.after = after
    self.connection = connection
  }
}
