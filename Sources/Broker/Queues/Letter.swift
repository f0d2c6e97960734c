// Letters: messages on their way to queues, and who says what a message becomes when it ends in one.

import Primitives

/// Why a message ended in a queue without being acknowledged.
public enum EndReason: UInt8, Sendable {
  /// Delivered as often as the queue allows.
  case deliveryLimit = 0
  /// Refused for good by a consumer.
  case rejected
  /// Its time to live is over.
  case expired
  /// The queue was longer than it may be.
  case tooLong
  /// The queue is a relay, and the message was released.
  case released
}

/// A queue that a message goes to, or a topic that keeps it for groups.
public struct QueueTarget {
  /// The topic, of the queue if it is one.
  public let topic: Topic
  /// How long it may wait there; nil for ever. In a relay: how long it waits before it is passed on, at least 1.
  public var timeToLiveMs: Int64?

  /// Puts the two together.
  public init(_ group: Group, timeToLiveMs: Int64?) {
    topic = group.topic
    self.timeToLiveMs = timeToLiveMs
  }

  /// A topic that is no queue: there the message stays for as long as the topic keeps messages, and gets an id.
  public init(_ topic: Topic) { self.topic = topic }
}

/// A copy of a message with headers and a tag of its own, and the queues that it goes to. Body, key and flags are the
/// message's.
public struct Letter {
  /// Its headers.
  public var headers: [UInt8]
  /// Its tag.
  public var tag: [UInt8]
  /// Where it goes; each queue at most once.
  public var targets: [QueueTarget]

  /// Puts the three together.
  public init(headers: [UInt8], tag: [UInt8], targets: [QueueTarget]) {
    self.headers = headers
    self.tag = tag
    self.targets = targets
  }

  /// Calls `body` with the parts of the letter that `message` is sent as. They are good during the call.
  func withParts<Result>(of message: MessageParts, _ body: (MessageParts) -> Result) -> Result {
    headers.withUnsafeBytes { headers in
      tag.withUnsafeBytes { tag in
        var parts = message
        parts.headers = headers
        parts.tag = tag
        return body(parts)
      }
    }
  }
}

/// Says what becomes of messages that end in a queue. The front end that made the queues implements it.
///
/// It only answers: the broker asks in the middle of its own work, and must not be changed by it.
public protocol DeadLetterRouter: AnyObject {
  /// The letters that a message becomes when it ends in a queue for this reason; none when it goes nowhere and is dropped.
  func letters(of record: MessageRecord, endedIn group: Group, because reason: EndReason) -> [Letter]
}
