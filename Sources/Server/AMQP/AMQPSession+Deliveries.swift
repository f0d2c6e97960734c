// What the broker says, as frames: deliveries, answers of gets that waited, consumers whose queue is gone.

import AMQPProtocol
import Broker
import Primitives
import RabbitMQFrontEnd

extension AMQPSession {
  @inline(__always)
  func deliver(_ delivery: Delivery) {
    guard let channel = channel(ofConsumer: delivery.consumer.sub), let shown = channel.operations.show(delivery)
    else { return }
    write(shown, channel)
  }

  @inline(__always) private func channel(ofConsumer sub: Int64) -> AMQPChannel? {
    if let last = lastSubscription, last.sub == sub { return last.channel }
    guard let channel = subscriptions[sub]?.channel else { return nil }
    lastSubscription = (sub, channel)
    return channel
  }

  func write(_ shown: ChannelDelivery, _ channel: AMQPChannel) {
    guard let tag = shown.consumerTag else { preconditionFailure("a delivery without a consumer answers a get") }
    tag.bytes.withBytes { tag in
      rabbitMQ.withAMQPMessage(shown.delivery.record, deliveryCount: shown.deliveryCount) { message in
        let deliver = BasicDeliver {
          $0.consumerTag = tag
          $0.deliveryTag = shown.deliveryTag
          $0.redelivered = shown.isRedelivered
          $0.exchange = message.exchange
          $0.routingKey = message.routingKey
        }
        out.append(
          deliver, channel: channel.number, properties: message.properties, body: message.body,
          maxFrameBytes: frameBytesMax)
      }
    }
    noteTimeout(of: channel)
  }

  /// The reply to a `get` that has found a message or none.
  func write(_ reply: GetReply, _ channel: AMQPChannel) {
    guard case .message(let shown, let remaining) = reply else {
      return out.append(.basicGetEmpty, channel: channel.number)
    }
    rabbitMQ.withAMQPMessage(shown.delivery.record, deliveryCount: shown.deliveryCount) { message in
      let got = BasicGetOk {
        $0.deliveryTag = shown.deliveryTag
        $0.redelivered = shown.isRedelivered
        $0.exchange = message.exchange
        $0.routingKey = message.routingKey
        $0.messageCount = UInt32(clamping: remaining)
      }
      out.append(
        got, channel: channel.number, properties: message.properties, body: message.body, maxFrameBytes: frameBytesMax)
    }
    noteTimeout(of: channel)
  }

  func fetched(_ consumer: Consumer, token: UInt64, _ deliveries: [Delivery]) {
    guard let channel = waitingGets.removeValue(forKey: token),
      let reply = channel.operations.answer(token, deliveries, consumer)
    else { return }
    write(reply, channel)
  }

  func ended(_ consumer: Consumer) {
    guard consumer.kind != .fetcher else {
      for channel in channels.inOrder { _ = channel.operations.forget(consumer) }
      return
    }
    guard let channel = subscriptions.removeValue(forKey: consumer.sub)?.channel,
      let tag = channel.operations.forget(consumer)
    else { return }
    sayCancelled(tag, channel)
  }

  /// A consumer has ended, and not because its client wants it.
  func sayCancelled(_ tag: Text, _ channel: AMQPChannel) {
    guard client.knowsCancel else { return }
    tag.bytes.withBytes { tag in
      let cancel = BasicCancel {
        $0.consumerTag = tag
        $0.noWait = true
      }
      out.append(cancel, channel: channel.number)
    }
  }

  // Only topics forget messages that nobody has had, and only producers of RocketMQ are asked.
  func truncated(_ consumer: Consumer, from: TopicOffset, to: TopicOffset) {}
  func askAbout(_ number: HeldNumber) {}
}
