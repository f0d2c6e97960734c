// What a connection has from the RabbitMQ front end: its consumers by tag, what was delivered and not settled, its gets.
//
// Holds: delivery tags count up over all consumers and gets of the connection; `unsettled` has those that need an
// acknowledgement, ascending.
// Leaves to others: queues and messages (RabbitMQ, Broker).

import Broker
import LineProtocol
import Primitives
import RabbitMQFrontEnd

/// The front end's side of a connection.
final class RabbitMQConnection {
  struct Unsettled {
    let tag: UInt64
    let group: Group
    let offset: TopicOffset
    let consumer: Consumer
    /// Whether it would come again after a restart: then its end is to be durable before it is answered.
    let isPersistent: Bool
  }

  var consumers: [Text: Consumer] = [:]
  var tags: [Int64: Text] = [:]
  /// Cancelled with deliveries out: they stay out until they are settled or the connection ends.
  var cancelled: [Consumer] = []
  var gets: [UInt64: Bool] = [:]
  private var unsettled: [UInt64: Unsettled] = [:]
  private var lowestTag: UInt64 = 1
  private(set) var lastTag: UInt64 = 0
  private var madeTags = 0
  /// The queue that an empty name means.
  var lastQueue: Text?

  func madeConsumerTag() -> Text {
    repeat { madeTags += 1 } while consumers[Text("amq.ctag-\(madeTags)")] != nil
    return Text("amq.ctag-\(madeTags)")
  }

  /// The tag of a delivery, which is remembered unless the consumer does not acknowledge.
  func tag(_ delivery: Delivery) -> UInt64 {
    lastTag += 1
    if !delivery.consumer.options.acknowledgesItself, let group = delivery.consumer.group {
      unsettled[lastTag] = Unsettled(
        tag: lastTag, group: group, offset: delivery.record.sequence, consumer: delivery.consumer,
        isPersistent: delivery.isPersistent)
    }
    return lastTag
  }

  /// Takes out what a tag means: one delivery, or all up to it; tag 0 with `multiple` means all. Nil for an unknown tag.
  func take(_ tag: UInt64, multiple: Bool) -> [Unsettled]? {
    guard multiple else { return unsettled.removeValue(forKey: tag).map { [$0] } }
    let last = tag == 0 ? lastTag : tag
    guard last <= lastTag else { return nil }
    var taken: [Unsettled] = []
    while lowestTag <= last {
      if let one = unsettled.removeValue(forKey: lowestTag) { taken.append(one) }
      lowestTag += 1
    }
    return taken.isEmpty && tag != 0 ? nil : taken
  }
}

extension Connection {
  /// The front end's side, made when it is first needed.
  func rabbitMQSide() -> RabbitMQConnection {
    if let rabbitMQ { return rabbitMQ }
    let side = RabbitMQConnection()
    rabbitMQ = side
    return side
  }
}

extension Server {
  /// Writes `rabbitmq.deliver`.
  func writeRabbitMQ(_ delivery: Delivery, _ connection: Connection) {
    let side = connection.rabbitMQSide()
    guard let tag = side.tags[delivery.consumer.sub] else { return }
    connection.out.append("{\"event\":\"rabbitmq.deliver\",\"consumerTag\":")
    tag.bytes.withUnsafeBytes { connection.out.appendJSONString($0) }
    writeRabbitMQContent(delivery, tag: side.tag(delivery), connection)
    connection.out.append("}\n")
  }

  /// `,"deliveryTag":…` up to the body.
  func writeRabbitMQContent(_ delivery: Delivery, tag: UInt64, _ connection: Connection) {
    connection.out.append(",\"deliveryTag\":")
    connection.out.appendInteger(tag)
    connection.out.append(",\"redelivered\":")
    connection.out.appendBoolean(delivery.attempt > 1)
    connection.out.append(",")
    rabbitMQ.writeFields(of: delivery.record, to: &connection.out)
    connection.out.appendForeignBodyField(of: delivery.record)
  }

  /// A queue was deleted under a consumer: `rabbitmq.cancel`.
  func forgetRabbitMQ(_ consumer: Consumer, _ connection: Connection) {
    let side = connection.rabbitMQSide()
    side.cancelled.removeAll { $0 === consumer }
    guard let tag = side.tags.removeValue(forKey: consumer.sub) else { return }
    side.consumers[tag] = nil
    connection.out.append("{\"event\":\"rabbitmq.cancel\",\"consumerTag\":")
    tag.bytes.withUnsafeBytes { connection.out.appendJSONString($0) }
    connection.out.append("}\n")
    touch(connection)
  }

  /// A connection is going; its consumers have been taken from the broker.
  func rabbitMQConnectionEnded(_ connection: Connection) {
    // A server that stops takes no queue away: the clients will come again.
    if let side = connection.rabbitMQ, !isStopping {
      connection.rabbitMQ = nil
      for consumer in side.cancelled { broker.remove(consumer) }
      for consumer in side.consumers.values {
        if let queue = rabbitMQ.queue(of: consumer) { rabbitMQ.consumerLeft(queue) }
      }
      rabbitMQ.connectionEnded(connection.key)
    }
  }
}
