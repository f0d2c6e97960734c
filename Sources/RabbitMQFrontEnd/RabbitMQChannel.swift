// One RabbitMQ channel: what a client has open on it and may still answer for, whatever wire the client speaks.
//
// Holds: delivery tags count up over all consumers and gets of the channel; `unacknowledged` has the deliveries that need an
// acknowledgement, by their tags.
// Leaves to others: how requests and answers look on the wire (the server's sessions), exchanges, queues and routing
// (RabbitMQ), messages (Broker). An operation's result comes with the gate that its answer waits for.

import Broker
import LineProtocol
import Primitives

/// A channel of one connection. A connection of the line protocol has one, an AMQP connection many.
public final class RabbitMQChannel {
  struct Unacknowledged {
    let group: Group
    let offset: TopicOffset
    /// Whether it would come again after a restart: then its end is to be durable before it is answered.
    let isPersistent: Bool
  }

  let rabbitMQ: RabbitMQ
  /// The server's key of the connection.
  let connection: UInt64
  var broker: Broker { rabbitMQ.broker }

  var consumers: [Text: Consumer] = [:]
  var consumerTags: [Int64: Text] = [:]
  /// Cancelled with deliveries out: they stay out until they are acknowledged or the channel ends.
  var cancelled: [Consumer] = []
  /// The fetching side of each queue that was read with `get`.
  var getters: [Consumer] = []
  /// Gets that wait for the disk.
  var waitingGets: Set<UInt64> = []
  private var unacknowledged: [UInt64: Unacknowledged] = [:]
  private var lowestTag: UInt64 = 1
  /// The tag of the last delivery; 0 before the first one.
  public private(set) var lastDeliveryTag: UInt64 = 0
  private var madeTags = 0
  /// The queue that an empty name means: the last one declared here.
  var lastQueue: Text?

  /// A channel with nothing open.
  ///
  /// - Parameter connection: the server's key of the connection that the channel belongs to.
  public init(_ rabbitMQ: RabbitMQ, connection: UInt64) {
    self.rabbitMQ = rabbitMQ
    self.connection = connection
  }

  func madeConsumerTag() -> Text {
    repeat { madeTags += 1 } while consumers[Text("amq.ctag-\(madeTags)")] != nil
    return Text("amq.ctag-\(madeTags)")
  }

  // MARK: Deliveries

  /// Gives a delivery its tag, and remembers it unless the consumer does not acknowledge. O(1).
  func tag(_ delivery: Delivery, consumerTag: Text?) -> ChannelDelivery {
    lastDeliveryTag += 1
    if !delivery.consumer.options.acknowledgesItself, let group = delivery.consumer.group {
      unacknowledged[lastDeliveryTag] = Unacknowledged(
        group: group, offset: delivery.record.sequence, isPersistent: delivery.isPersistent)
    }
    let isQuorum = rabbitMQ.queue(of: delivery.consumer)?.arguments.isQuorum == true
    return ChannelDelivery(
      consumerTag: consumerTag, deliveryTag: lastDeliveryTag, delivery: delivery,
      deliveryCount: isQuorum ? delivery.attempt - 1 : nil)
  }

  // MARK: Acknowledging

  /// Ends a delivery, or with `multiple` all up to this tag (tag 0: all).
  ///
  /// - Throws: 406 for an unknown tag.
  public func acknowledge(_ tag: UInt64, multiple: Bool) throws(AMQPError) -> Gate {
    let taken = try take(tag, multiple: multiple)
    try forEachQueue(taken) { group, offsets throws(BrokerStop) in _ = try broker.acknowledge(group, .list(offsets)) }
    return answered(taken)
  }

  /// Refuses a delivery, or with `multiple` all up to this tag (tag 0: all): back to its place, or to the dead letters.
  ///
  /// - Throws: 406 for an unknown tag.
  public func refuse(_ tag: UInt64, multiple: Bool, requeue: Bool) throws(AMQPError) -> Gate {
    let taken = try take(tag, multiple: multiple)
    try forEachQueue(taken) { group, offsets throws(BrokerStop) in
      requeue ? try broker.requeue(group, offsets) : try broker.reject(group, offsets)
    }
    // What goes back to its place is not recorded: a crash would put it there, too.
    return answered(requeue ? [] : taken)
  }

  /// The deliveries that a tag means, taken out; those of queues that are gone are left out.
  private func take(_ tag: UInt64, multiple: Bool) throws(AMQPError) -> [Unacknowledged] {
    do throws(BrokerStop) { try broker.requireWorking() } catch { throw .stopped(error) }
    guard let taken = multiple ? takeAll(upTo: tag) : unacknowledged.removeValue(forKey: tag).map({ [$0] }) else {
      throw .unknownDeliveryTag(tag)
    }
    return taken.filter { $0.group.topic.isAlive }
  }

  private func takeAll(upTo tag: UInt64) -> [Unacknowledged]? {
    let last = tag == 0 ? lastDeliveryTag : tag
    guard last <= lastDeliveryTag else { return nil }
    var taken: [Unacknowledged] = []
    while lowestTag <= last {
      if let one = unacknowledged.removeValue(forKey: lowestTag) { taken.append(one) }
      lowestTag += 1
    }
    return taken.isEmpty && tag != 0 ? nil : taken
  }

  /// Calls `body` with the deliveries of each queue, in their order.
  private func forEachQueue(
    _ taken: [Unacknowledged], _ body: (Group, [TopicOffset]) throws(BrokerStop) -> Void
  ) throws(AMQPError) {
    var rest = taken[...]
    while let first = rest.first {
      let end = rest.firstIndex { $0.group !== first.group } ?? rest.endIndex
      do throws(BrokerStop) { try body(first.group, rest[..<end].map(\.offset)) } catch { throw .stopped(error) }
      rest = rest[end...]
    }
  }

  /// Lets cancelled consumers go that have nothing out any more; gives what the answer waits for.
  private func answered(_ ended: [Unacknowledged]) -> Gate {
    if !cancelled.isEmpty {
      for consumer in cancelled where consumer.inFlight == 0 { broker.remove(consumer) }
      cancelled.removeAll { $0.inFlight == 0 }
    }
    return ended.contains(where: \.isPersistent) ? .endOfTurn : .open
  }

  // MARK: The end

  /// The channel is closed, and its connection goes on: everything unacknowledged goes back to its place.
  public func close() {
    let open = unacknowledged.sorted { $0.key < $1.key }.map(\.value).filter { $0.group.topic.isAlive }
    unacknowledged = [:]
    lowestTag = lastDeliveryTag + 1
    // The fetching side of a queue belongs to all channels of the connection and stays.
    try? forEachQueue(open) { group, offsets throws(BrokerStop) in try broker.requeue(group, offsets) }
    leaveConsumers(queuesStay: false)
  }

  /// The connection is gone. Once its last channel has ended, `RabbitMQ.connectionEnded` follows.
  ///
  /// - Parameter queuesStay: whether queues that live only as long as their consumers stay all the same, because it is the
  ///   server that stops and the clients will come again.
  public func end(queuesStay: Bool) {
    unacknowledged = [:]
    leaveConsumers(queuesStay: queuesStay)
    for consumer in getters { broker.remove(consumer) }
    getters = []
  }

  private func leaveConsumers(queuesStay: Bool) {
    let leaving = consumers.values.sorted { $0.sub < $1.sub }
    for consumer in leaving + cancelled { broker.remove(consumer) }
    consumers = [:]
    consumerTags = [:]
    cancelled = []
    waitingGets = []
    if queuesStay { return }
    for consumer in leaving {
      if let queue = rabbitMQ.queue(of: consumer) { rabbitMQ.consumerLeft(queue, consumer) }
    }
  }
}

/// A message on its way to a client of a channel. Good until the next turn.
public struct ChannelDelivery {
  /// The tag of its consumer; nil for the answer to a `get`.
  public let consumerTag: Text?
  /// The tag that the client acknowledges it by.
  public let deliveryTag: UInt64
  /// The message and its consumer.
  public let delivery: Delivery
  /// Whether it may have been delivered before.
  public var isRedelivered: Bool { delivery.attempt > 1 }
  /// For the header `x-delivery-count`, which messages of quorum queues show: how many deliveries came to nothing before.
  public let deliveryCount: UInt32?
}
