// Who is there: producers and consumers as heartbeats say, and locks of consumers that keep an order.

import Broker
import LineProtocol
import Primitives
import RemotingProtocol

extension RocketMQFrontEnd {
  /// A heartbeat: what the client produces for and consumes from here on.
  public func note(_ heartbeat: Heartbeat, _ session: RocketMQSession, connection: UInt64) throws(WireStop) {
    for consumer in heartbeat.consumers {
      try consumer.group.withBytes { name throws(WireStop) in try requireGroupName(name) }
    }
    for group in heartbeat.producerGroups { try register(producerGroup: group, session, connection) }
    try groups.note(heartbeat, connection: connection)
  }

  private func register(
    producerGroup group: String, _ session: RocketMQSession, _ connection: UInt64
  ) throws(WireStop) {
    do throws(Refusal) { try addProducer(of: group, session, connection) } catch {
      throw .refused(.systemBusy, error.message)
    }
  }

  /// A client leaves.
  public func unregister(
    clientID: String, producerGroup: String, consumerGroup: String, _ session: RocketMQSession, connection: UInt64
  ) {
    if !producerGroup.isEmpty { removeProducer(of: producerGroup, session, connection) }
    if !consumerGroup.isEmpty { groups.leave(consumerGroup, clientID: clientID) }
  }

  /// Gives the queues of the request that the client holds from now on.
  public func lock(_ request: QueueLockRequest) -> [QueueName] {
    var known = request
    known.queues = request.queues.filter { queue in
      queue.topic.withBytes { isTopicKnown($0) && 0..<Int32(readQueues(of: $0)) ~= queue.queueID }
    }
    return locks.lock(known, nowMs: broker.nowMs)
  }

  /// Ends locks of the client.
  public func unlock(_ request: QueueLockRequest) { locks.unlock(request) }
}
