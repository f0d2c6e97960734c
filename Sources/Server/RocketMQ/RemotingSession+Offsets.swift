// How far groups have come, and where queues begin and end.

import Broker
import Primitives
import RemotingProtocol
import RocketMQFrontEnd

extension RemotingSession {
  func queryOffset(_ header: RemotingHeader) throws(WireStop) {
    let (topic, queue) = try queue(of: header)
    let group = try text(header, "consumerGroup")
    guard let topic, let offset = broker.committedOffset(ofQueue: queue, in: topic, group: group) else {
      throw .refused(.queryNotFound, "the group has no offset for this queue; it may be a new group")
    }
    output.hold(until: broker.gate)
    answer(header, offset: offset)
  }

  func updateOffset(_ header: RemotingHeader) throws(WireStop) {
    let (_, queue) = try queue(of: header)
    let group = try text(header, "consumerGroup")
    try frontEnd.requireGroupName(group)
    guard let offset = UInt64(exactly: try integer(header, "commitOffset")) else {
      throw .refused(.systemError, "the field 'commitOffset' must not be negative")
    }
    let topic = try frontEnd.topicOnUse(try text(header, "topic"))
    try commit(offset, ofQueue: queue, in: topic, group: group)
    output.hold(until: broker.gate)
    answer(header)
  }

  func commit(
    _ offset: UInt64, ofQueue queue: UInt8, in topic: Topic, group: UnsafeRawBufferPointer
  ) throws(WireStop) {
    do throws(BrokerStop) {
      _ = try broker.commitOffset(offset, ofQueue: queue, in: topic, group: group)
    } catch { throw WireStop(error) }
  }

  func endOfQueue(_ header: RemotingHeader) throws(WireStop) {
    let (topic, queue) = try queue(of: header)
    if let topic { output.hold(until: Gate(topic.restsOn)) }
    answer(header, offset: topic?.log.offsets(ofQueue: queue).upperBound ?? 0)
  }

  func beginningOfQueue(_ header: RemotingHeader) throws(WireStop) {
    let (topic, queue) = try queue(of: header)
    answer(header, offset: topic?.log.offsets(ofQueue: queue).lowerBound ?? 0)
  }

  func searchOffset(_ header: RemotingHeader) throws(WireStop) {
    let (topic, queue) = try queue(of: header)
    let timeMs = try integer(header, "timestamp")
    guard let topic else { return answer(header, offset: 0) }
    let offset = try frontEnd.offset(ofQueue: queue, in: topic, atOrAfterMs: timeMs, connection: key)
    output.hold(until: Gate(topic.restsOn))
    answer(header, offset: offset)
  }

  private func answer(_ header: RemotingHeader, offset: UInt64) {
    var frame = RemotingFrameWriter(response: .success, to: header, &out)
    frame.field("offset", Int64(offset), &out)
    frame.endHeader(&out)
    frame.end(&out)
  }

  /// The queue that a request names; no topic when it may come into being later.
  ///
  /// - Throws: `topicNotExist`, or `systemError` when the topic has no such queue.
  private func queue(of header: RemotingHeader) throws(WireStop) -> (topic: Topic?, queue: UInt8) {
    let name = try text(header, "topic")
    let queueID = try read { () throws(RemotingError) in try header.fields.requiredInt32("queueId") }
    try frontEnd.requireTopicName(name)
    guard frontEnd.isTopicKnown(name) else {
      throw .refused(.topicNotExist, "there is no topic '\(String(decoding: name, as: UTF8.self))'")
    }
    return (broker.findTopic(name), try frontEnd.queue(queueID, of: name))
  }
}
