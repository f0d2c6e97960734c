// What one connection has open as a RocketMQ client: its subscriptions and the deliveries that it may still answer for by
// message id.
//
// Holds: at most twice a subscription's credit, and 64, of deliveries are remembered; those that the broker has given to
// somebody else meanwhile are forgotten.
// Leaves to others: the deliveries themselves (Broker).

import Broker
import Primitives

/// A subscription: a topic, and the retries of its group.
final class RocketMQSubscription {
  struct Open {
    let consumer: Consumer
    let offset: TopicOffset
  }

  let sub: Int64
  let consumer: Consumer
  let group: String
  let reconsumeTimesMax: Int64
  private var open: [[UInt8]: Open] = [:]

  init(_ consumer: Consumer, group: String, reconsumeTimesMax: Int64) {
    sub = consumer.sub
    self.consumer = consumer
    self.group = group
    self.reconsumeTimesMax = reconsumeTimesMax
  }

  /// Notes a delivery. Amortised O(1).
  func note(_ delivery: Delivery, _ broker: Broker) {
    if open.count >= 2 * consumer.options.credit + 64 {
      open = open.filter { broker.isHolding($0.value.consumer, $0.value.offset) }
    }
    open[Array(delivery.record.id)] = Open(consumer: delivery.consumer, offset: delivery.record.sequence)
  }

  func find(_ messageID: UnsafeRawBufferPointer) -> Open? { open[Array(messageID)] }

  func forget(_ messageID: UnsafeRawBufferPointer) { open[Array(messageID)] = nil }
}

/// The RocketMQ side of a connection.
public final class RocketMQSession {
  private(set) var subscriptions: [Int64: RocketMQSubscription] = [:]
  /// The producer groups that it answers for.
  public internal(set) var producerGroups: Set<String> = []

  /// Nothing yet.
  public init() {}

  func add(_ subscription: RocketMQSubscription) { subscriptions[subscription.sub] = subscription }

  /// Forgets a subscription that has ended.
  public func remove(sub: Int64) { subscriptions[sub] = nil }

  /// Under which subscription a delivery is shown: a retry under that of the topic it came from, if this connection has one
  /// in the same group.
  func subscription(showing delivery: Delivery, _ headers: MessageHeaders) -> RocketMQSubscription? {
    guard let own = subscriptions[delivery.consumer.sub] else { return nil }
    guard let origin = headers.retryTopic, delivery.consumer !== own.consumer,
      !own.consumer.topic.nameBytes.elementsEqual(origin)
    else { return own }
    let other = subscriptions.values.first {
      $0.group == own.group && $0.consumer.topic.nameBytes.elementsEqual(origin)
    }
    return other ?? own
  }
}
