// What the broker says, as lines: deliveries, answers of fetches that waited, and events.

import Broker
import LineProtocol
import Primitives
import RabbitMQFrontEnd

extension LineSession {
  func deliver(_ delivery: Delivery) {
    if delivery.consumer.topic.isQueue {
      guard let shown = channel?.show(delivery) else { return }
      write(shown)
    } else if delivery.consumer.frontEnd == 0 {
      EventWriter.message(delivery, to: &out)
    } else if let rocketMQSession {
      services.rocketMQ.write(delivery, rocketMQSession, to: &out)
    }
  }

  func fetched(_ consumer: Consumer, token: UInt64, _ deliveries: [Delivery]) {
    guard let fetch = waiting.removeValue(forKey: token) else { return }
    fetch.withRid { rid in
      if let got = channel?.answer(token, deliveries, consumer) {
        writeGot(got, rid: rid)
      } else {
        writeFetched(deliveries, rid: rid)
      }
    }
    if blockingFetch == token { blockingFetch = nil }
  }

  func truncated(_ consumer: Consumer, from: TopicOffset, to: TopicOffset) {
    if consumer.kind != .fetcher { EventWriter.truncated(consumer, from: from, to: to, to: &out) }
  }

  func ended(_ consumer: Consumer) {
    if consumer.kind == .fetcher { fetchers.removeAll { $0 === consumer } } else { consumers[consumer.sub] = nil }
    if consumer.topic.isQueue {
      if let tag = channel?.forget(consumer) { EventWriter.cancelled(tag, to: &out) }
    } else if consumer.kind != .fetcher {
      rocketMQSession?.remove(sub: consumer.sub)
      EventWriter.ended(consumer, to: &out)
    }
  }

  func askAbout(_ number: HeldNumber) {
    guard let message = broker.heldMessage(number), allows(.schedule, .topic, broker.topicName(of: message)) else {
      return
    }
    services.rocketMQ.writeCheck(number, to: &out)
  }
}
