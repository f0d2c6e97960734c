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
  let rabbitMQ: RabbitMQ
  /// The server's key of the connection.
  let connection: UInt64
  var broker: Broker { rabbitMQ.broker }

  var consumers: [Text: Consumer] = [:]
  /// What deliveries to consumers show, by the numbers that the deliveries carry.
  @exclusivity(unchecked) var shown: [Int64: ShownConsumer] = [:]
  /// Cancelled with deliveries out: they stay out until they are acknowledged or the channel ends.
  var cancelled: [Consumer] = []
  /// The fetching side of each queue that was read with `get`.
  var getters: [Consumer] = []
  /// Gets that wait for the disk.
  var waitingGets: Set<UInt64> = []
  @exclusivity(unchecked) var unacknowledged = UnacknowledgedDeliveries<Unacknowledged>()
  /// What is held back until it is committed; nil when the channel is not transactional.
  var transaction: Transaction?
  private var madeTags = 0
  /// For consumers to come; 0 for no bound.
  var prefetch = 0
  /// What its consumers share; nil until somebody bounds them together.
  var sharedCredit: SharedCredit?
  /// The queue that an empty name means: the last one declared here.
  var lastQueue: Text?
  /// Where replies to the channel's own requests come in; nil until it consumes them.
  var replyQueue: Queue?
  /// How long a delivery may wait for its acknowledgement, unless its queue says otherwise; nil for ever.
  let consumerTimeoutMs: Int64?
  /// No delivery has been kept for too long before this time.
  @exclusivity(unchecked) public internal(set) var nextTimeoutMs = UnixMs.max

  /// A channel with nothing open.
  ///
  /// - Parameters:
  ///   - connection: the server's key of the connection that the channel belongs to.
  ///   - consumerTimeoutMs: how long a delivery may wait for its acknowledgement where the queue does not say
  ///     (`x-consumer-timeout`); nil for ever.
  public init(_ rabbitMQ: RabbitMQ, connection: UInt64, consumerTimeoutMs: Int64? = nil) {
    self.rabbitMQ = rabbitMQ
    self.connection = connection
    self.consumerTimeoutMs = consumerTimeoutMs
  }

  /// Consumers now.
  public var consumerCount: Int { consumers.count }

  func madeConsumerTag() -> Text {
    repeat { madeTags += 1 } while consumers[Text("amq.ctag-\(madeTags)")] != nil
    return Text("amq.ctag-\(madeTags)")
  }

  // MARK: Deliveries

  /// Gives a delivery its tag, and remembers it unless the consumer does not acknowledge. O(1).
  func tag(
    _ delivery: Delivery, _ consumerTag: Text?, showsCount: Bool, timeoutMs: Int64?
  ) -> ChannelDelivery {
    let tag: UInt64
    if !delivery.consumer.options.acknowledgesItself, let group = delivery.consumer.group {
      let timesOutMs = timeoutMs.map { broker.nowMs + $0 } ?? .max
      nextTimeoutMs = min(nextTimeoutMs, timesOutMs)
      tag = unacknowledged.add(
        Unacknowledged(
          group: group, offset: delivery.record.sequence, isPersistent: delivery.isPersistent, timesOutMs: timesOutMs))
    } else {
      tag = unacknowledged.addAcknowledged()
    }
    return ChannelDelivery(
      consumerTag: consumerTag, deliveryTag: tag, delivery: delivery,
      deliveryCount: showsCount ? delivery.attempt - 1 : nil)
  }

  // MARK: The end

  /// The channel is closed, and its connection goes on: everything unacknowledged goes back to its place.
  public func close() {
    if isTransactional { try? rollBack() }
    giveBackAll(.abandoned)
    // The fetching side of a queue belongs to all channels of the connection and stays.
    leaveConsumers(queuesStay: false)
  }

  /// The connection is gone. Once its last channel has ended, `RabbitMQ.connectionEnded` follows.
  ///
  /// - Parameter queuesStay: whether queues that live only as long as their consumers stay all the same, because it is the
  ///   server that stops and the clients will come again.
  public func end(queuesStay: Bool) {
    transaction = nil
    unacknowledged = UnacknowledgedDeliveries()
    leaveConsumers(queuesStay: queuesStay)
    for consumer in getters { broker.remove(consumer) }
    getters = []
  }

  private func leaveConsumers(queuesStay: Bool) {
    let leaving = consumers.values.sorted { $0.sub < $1.sub }
    for consumer in leaving + cancelled { broker.remove(consumer) }
    consumers = [:]
    shown = [:]
    cancelled = []
    waitingGets = []
    if queuesStay { return }
    for consumer in leaving {
      if let queue = rabbitMQ.queue(of: consumer) { rabbitMQ.consumerLeft(queue, consumer) }
    }
  }
}

/// What a delivery to a consumer shows of it.
struct ShownConsumer {
  let tag: Text
  /// Whether its queue is one whose deliveries say how often they came to nothing before.
  let showsCount: Bool
  /// How long a delivery may wait for its acknowledgement; nil for ever.
  let timeoutMs: Int64?
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
