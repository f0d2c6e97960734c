// The bodies of LOCK_BATCH_MQ and UNLOCK_BATCH_MQ: consumers that keep an order hold the queues they read from.
//
// Leaves to others: who holds a queue, and for how long.

import LineProtocol
import Primitives

/// A queue by name.
public struct QueueName: Hashable, Sendable {
  /// The topic.
  public var topic: String
  /// The broker that has it.
  public var broker: String
  /// The number of the queue.
  public var queueID: Int32

  /// Puts the parts together.
  public init(topic: String, broker: String, queueID: Int32) {
    self.topic = topic
    self.broker = broker
    self.queueID = queueID
  }
}

/// A request to lock or to unlock queues: both have the same body.
public struct QueueLockRequest: Equatable, Sendable {
  /// The group that reads the queues.
  public var group: String
  /// The member that wants to hold them, or to let them go.
  public var clientID: String
  /// The queues.
  public var queues: [QueueName]

  /// Reads a body.
  ///
  /// - Throws: `malformedBody`.
  public init(_ body: UnsafeRawBufferPointer, _ reader: JSONReader) throws(RemotingError) {
    let members = try BodyObject(body, reader)
    group = try members.string("consumerGroup")
    clientID = try members.string("clientId")
    queues = try members.objects("mqSet") { (queue) throws(RemotingError) in
      guard let queueID = Int32(exactly: try queue.integer("queueId")) else {
        throw .malformedBody("'queueId' is not an integer of 32 bits")
      }
      return QueueName(topic: try queue.string("topic"), broker: try queue.string("brokerName"), queueID: queueID)
    }
  }
}

extension ByteBuffer {
  /// Appends the body of a response to `LOCK_BATCH_MQ`: the queues that the client holds now. (A response to
  /// `UNLOCK_BATCH_MQ` has no body.)
  public mutating func appendLockedQueues(_ queues: [QueueName]) {
    append("{\"lockOKMQSet\":[")
    appendList(queues) { buffer, queue in
      buffer.append("{\"brokerName\":")
      buffer.appendJSONString(queue.broker)
      buffer.append(",\"queueId\":")
      buffer.appendInteger(Int64(queue.queueID))
      buffer.append(",\"topic\":")
      buffer.appendJSONString(queue.topic)
      buffer.append("}")
    }
    append("]}")
  }
}
