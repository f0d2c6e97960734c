// Redrive: dead letters go back to the end of the topic they came from.

import Primitives
import TopicLog

extension Broker {
  /// The group of a dead-letter topic whose cursor says what was put back.
  private static let redriveGroup = "redrive"
  /// Headers that the way to the dead letters added.
  private static let deadLetterHeaders = ["x-origin-topic", "x-origin-offset", "x-group", "x-attempts", "x-reason"]

  /// Puts up to `limit` dead letters of a group back at the end of their topic, oldest first, each once; gives how many, and
  /// how many remain.
  ///
  /// - Throws: `notFound` when the topic or the group is not there; `waitForDisk`.
  public func redrive(
    topic topicName: UnsafeRawBufferPointer, group groupName: UnsafeRawBufferPointer, limit: Int, connection: UInt64
  ) throws(BrokerStop) -> Answer<(redriven: Int, remaining: UInt64)> {
    try requireSpace()
    let origin = try existingGroup(topicName, groupName).topic
    let name = "\(origin.name).\(String(decoding: groupName, as: UTF8.self)).dlq"
    guard let dead = name.withBytes({ findTopic($0) }) else { return answer((0, 0)) }
    let group = try Self.redriveGroup.withBytes { name throws(BrokerStop) in
      try groups.onUse(dead, name, ConsumerOptions(), connection)
    }
    var count = 0
    var bytesRemaining = settings.deliveryBytesPerTurn
    while count < limit, bytesRemaining > 0 {
      switch group.readNext() {
      case .record(let message):
        group.pass(message)
        let headers = HeaderText.without(message.headers, Self.deadLetterHeaders)
        headers.withUnsafeBytes { groups.forward(message, headers: $0, group, to: origin) }
        count += 1
        bytesRemaining -= message.length
      case .lost(let record): group.pass(record)
      case .trimmed: group.skip(to: dead.log.firstOffset)
      case .end: return answer((count, 0))
      case .forgotten: preconditionFailure("dead letters of a group are no queue")
      case .loading:
        if count > 0 { return answer((count, group.lag)) }
        dead.wait(connection)
        throw .waitForDisk
      }
    }
    return answer((count, group.lag))
  }
}
