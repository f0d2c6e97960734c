// What a consumer sends back by the remoting protocol: it comes again through the group's retries, or goes to its dead letters.
//
// Holds: the rule and the headers are those of `rocketmq.sendBack`. Here no delivery ends by it, since who pulls says by offsets what
// is done: when power fails between the two, the message comes again as well as the retry.

import Broker
import Primitives
import RemotingProtocol
import TopicLog

extension RocketMQFrontEnd {
  /// Sends a message back.
  ///
  /// - Parameters:
  ///   - level: 0 for the rule, above 0 for that level, below 0 for the dead letters.
  ///   - reconsumeTimesMax: how many retries the consumer allows.
  /// - Throws: `queryNotFound` when the message is not there any more.
  public func sendBack(
    _ place: MessagePlace?, group: UnsafeRawBufferPointer, level: Int32, reconsumeTimesMax: Int32?,
    connection: UInt64
  ) throws(WireStop) {
    guard let (topic, record) = try find(place, connection) else {
      throw .refused(.queryNotFound, "the message that was sent back is not there any more")
    }
    let headers = MessageHeaders(record)
    let originID = MessageID(host: wireSettings.host, physicalOffset: place!.physicalOffset).text
    let text = headers.forRetry(originID: originID, of: record, topic: topic.name)
    let levels = broker.settings.delayLevelsMs.count
    let rule = RetryRule.decide(
      level: Int64(level), reconsumeTimes: headers.reconsumeTimes,
      reconsumeTimesMax: reconsumeTimesMax.map(Int64.init) ?? RetryRule.reconsumeTimesMaxDefault, levels: levels)
    let groupName = String(decoding: group, as: UTF8.self)
    try text.withBytes { headers throws(WireStop) in
      var parts = record.parts
      parts.id = UnsafeRawBufferPointer(start: nil, count: 0)
      parts.headers = headers
      parts.queue = 0
      switch rule {
      case .level(let level): try put(parts, into: TopicNames.retry(groupName), .level(Int64(level)), connection)
      case .deadLetter: try put(parts, into: TopicNames.deadLetter(groupName), nil, connection)
      }
    }
  }

  private func put(
    _ parts: MessageParts, into name: String, _ due: DueTime?, _ connection: UInt64
  ) throws(WireStop) {
    try name.withBytes { name throws(WireStop) in
      _ = try topicOnUse(name)
      try asked { () throws(BrokerStop) in
        if let due {
          _ = try broker.schedule(ScheduleCommand(topic: name, parts: parts, due: due, connection: connection))
        } else {
          _ = try broker.publish(topic: name, parts)
        }
      }
    }
  }

  /// Where a message goes that a consumer itself sends to its group's retries: there, or to the dead letters when it was retried as
  /// often as allowed; nil for any other topic.
  public func deadLetterTopic(
    insteadOf topic: UnsafeRawBufferPointer, reconsumeTimes: Int32, reconsumeTimesMax: Int32?
  ) -> String? {
    guard topic.starts(with: TopicNames.retryPrefix.utf8), let max = reconsumeTimesMax, reconsumeTimes >= max else {
      return nil
    }
    let group = topic.dropFirst(TopicNames.retryPrefix.utf8.count)
    return TopicNames.deadLetter(String(decoding: group, as: UTF8.self))
  }
}
