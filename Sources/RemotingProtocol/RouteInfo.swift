// Bodies that tell a client where things are: the route of a topic, the members of a group, the topics there are.
//
// Holds: strict JSON. RocketMQ's own server writes the numbers of brokers without quotes, which not every client can read.

import LineProtocol
import Primitives

/// Where a topic's queues are.
public struct RouteInfo: Sendable {
  /// The brokers of one name: number 0 is written to.
  public struct Broker: Sendable {
    /// The name, which queues refer to.
    public var name: String
    /// The cluster it belongs to.
    public var cluster: String
    /// `HOST:PORT` by number.
    public var addresses: [(number: Int, address: String)]

    /// Puts the parts together.
    public init(name: String, cluster: String, addresses: [(number: Int, address: String)]) {
      self.name = name
      self.cluster = cluster
      self.addresses = addresses
    }
  }

  /// What a client may do with queues.
  public struct Permission: OptionSet, Sendable {
    /// The number on the wire.
    public let rawValue: Int
    /// Wraps the number on the wire.
    public init(rawValue: Int) { self.rawValue = rawValue }
    /// Send.
    public static let write = Permission(rawValue: 2)
    /// Pull.
    public static let read = Permission(rawValue: 4)
  }

  /// The queues of a topic on one broker.
  public struct Queues: Sendable {
    /// The broker's name.
    public var broker: String
    /// What they are there for.
    public var permission: Permission
    /// How many are pulled from.
    public var readCount: Int
    /// How many are sent to.
    public var writeCount: Int

    /// Puts the parts together.
    public init(broker: String, permission: Permission, readCount: Int, writeCount: Int) {
      self.broker = broker
      self.permission = permission
      self.readCount = readCount
      self.writeCount = writeCount
    }
  }

  /// The brokers.
  public var brokers: [Broker]
  /// The queues, an entry for each broker that has some.
  public var queues: [Queues]

  /// Puts the parts together.
  public init(brokers: [Broker], queues: [Queues]) {
    self.brokers = brokers
    self.queues = queues
  }
}

extension ByteBuffer {
  /// Appends the body of a response to `GET_ROUTEINFO_BY_TOPIC`.
  public mutating func append(_ route: RouteInfo) {
    append("{\"brokerDatas\":[")
    appendList(route.brokers) { buffer, broker in
      buffer.append("{\"brokerAddrs\":{")
      buffer.appendList(broker.addresses) { buffer, entry in
        buffer.append("\"")
        buffer.appendInteger(Int64(entry.number))
        buffer.append("\":")
        buffer.appendJSONString(entry.address)
      }
      buffer.append("},\"brokerName\":")
      buffer.appendJSONString(broker.name)
      buffer.append(",\"cluster\":")
      buffer.appendJSONString(broker.cluster)
      buffer.append("}")
    }
    append("],\"filterServerTable\":{},\"queueDatas\":[")
    appendList(route.queues) { buffer, queues in
      buffer.append("{\"brokerName\":")
      buffer.appendJSONString(queues.broker)
      buffer.append(",\"perm\":")
      buffer.appendInteger(Int64(queues.permission.rawValue))
      buffer.append(",\"readQueueNums\":")
      buffer.appendInteger(Int64(queues.readCount))
      buffer.append(",\"writeQueueNums\":")
      buffer.appendInteger(Int64(queues.writeCount))
      buffer.append(",\"topicSynFlag\":0}")
    }
    append("]}")
  }

  /// Appends the body of a response to `GET_CONSUMER_LIST_BY_GROUP`.
  public mutating func appendConsumerIDs(_ ids: [String]) {
    append("{\"consumerIdList\":[")
    appendList(ids) { buffer, id in buffer.appendJSONString(id) }
    append("]}")
  }

  /// Appends the body of a response to `GET_ALL_TOPIC_LIST_FROM_NAMESERVER`.
  public mutating func appendTopicList(_ topics: [String]) {
    append("{\"topicList\":[")
    appendList(topics) { buffer, topic in buffer.appendJSONString(topic) }
    append("]}")
  }

  /// Appends elements with commas between them.
  mutating func appendList<Element>(
    _ elements: [Element], _ appendOne: (inout ByteBuffer, Element) -> Void
  ) {
    var isFirst = true
    for element in elements {
      if !isFirst { append(",") }
      isFirst = false
      appendOne(&self, element)
    }
  }
}
