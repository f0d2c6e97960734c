// Reading released messages without a group: nothing is given out, nothing is to be acknowledged.

import Primitives
import TopicLog

/// Released messages of a topic. The records are good until the next turn.
public struct TopicPage {
  /// The topic.
  public let topic: Topic
  /// The messages, in the order of their offsets.
  public let messages: [MessageRecord]
  /// The offset behind what was looked at: where the next page begins.
  public let nextOffset: TopicOffset
}

extension Broker {
  /// Up to `limit` messages of a topic from an offset on, and no more than the one that makes them 4 MiB; fewer when the rest
  /// must be read from disk. An offset that the topic does not have any more counts as its first.
  ///
  /// - Throws: `notFound` when the topic is not there, or is a queue's; `waitForDisk`.
  public func read(
    topic name: UnsafeRawBufferPointer, from offset: TopicOffset?, limit: Int, connection: UInt64
  ) throws(BrokerStop) -> Answer<TopicPage> {
    try requireWorking()
    let topic = try topics.existing(name)
    guard !topic.isQueue else {
      throw .refuse(.notFound, "'\(topic.name)' is a queue's; its messages are read by consuming them")
    }
    var cursor = TopicCursor(offset: max(offset ?? 0, topic.log.firstOffset))
    var messages: [MessageRecord] = []
    var bytes = 0
    reading: while messages.count < limit, bytes < settings.fetchBytesMax {
      switch topic.log.read(&cursor) {
      case .record(let message):
        messages.append(message)
        bytes += message.length
        cursor.pass(message)
      case .lost(let record): cursor.pass(record)
      case .loading:
        if !messages.isEmpty { break reading }
        topic.wait(connection)
        throw .waitForDisk
      case .end, .trimmed: break reading
      case .forgotten: preconditionFailure("topic \(topic.number) is no queue and has forgotten messages")
      }
    }
    let page = TopicPage(topic: topic, messages: messages, nextOffset: min(cursor.offset, topic.log.nextOffset))
    return Answer(page, gate: Gate(topic.restsOn))
  }
}
