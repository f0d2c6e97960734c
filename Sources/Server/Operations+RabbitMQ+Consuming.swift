// rabbitmq.consume, cancel, get, ack, nack, reject.

import Broker
import LineProtocol
import Primitives
import RabbitMQFrontEnd

extension Server {
  func rabbitMQConsume(_ request: Request) throws(RequestStop) {
    let connection = request.connection
    let side = connection.rabbitMQSide()
    let name = try request.queueName()
    let noAck = try request.boolean(.noAck) ?? false
    let prefetch = try request.integer(.prefetch, in: 0...65_535) ?? 0
    var tag = try request.amqpText(.consumerTag) ?? ""
    if tag.isEmpty { tag = side.madeConsumerTag() }
    guard connection.consumers.count < settings.subscriptionsMax else {
      let text = "a connection can have \(settings.subscriptionsMax) consumers"
      throw .refused(Refusal(code: .limitExceeded, message: text))
    }
    let consumer: Consumer
    do throws(AMQPError) {
      let queue = try rabbitMQ.queue(name, connection.key)
      if side.consumers[tag] != nil { throw AMQPError.notAllowed("attempt to reuse consumer tag '\(tag)'") }
      consumer = try rabbitMQ.consume(
        queue, sub: connection.nextSub, connection: connection.key, prefetch: Int(prefetch), noAck: noAck)
    } catch { throw RequestStop(error) }
    connection.consumers[consumer.sub] = consumer
    connection.nextSub += 1
    side.consumers[tag] = consumer
    side.tags[consumer.sub] = tag
    if connection.isDeliveryPaused { broker.setPaused(consumer, true) }
    replyTag(request, tag)
  }

  private func replyTag(_ request: Request, _ tag: Text) {
    request.connection.out.beginReply(rid: request.rid)
    request.connection.out.append(",\"consumerTag\":")
    tag.bytes.withUnsafeBytes { request.connection.out.appendJSONString($0) }
    request.connection.out.endLine()
  }

  func rabbitMQCancel(_ request: Request) throws(RequestStop) {
    let connection = request.connection
    let side = connection.rabbitMQSide()
    let tag = try request.requiredAMQPText(.consumerTag)
    if let consumer = side.consumers.removeValue(forKey: tag) {
      // What it was given in this turn is shown before the reply: later nobody would expect it.
      for delivery in broker.takeDeliveries(to: consumer) {
        hold(connection, until: broker.gate(of: [delivery], to: consumer))
        writeRabbitMQ(delivery, connection)
      }
      side.tags[consumer.sub] = nil
      connection.consumers[consumer.sub] = nil
      if consumer.inFlight > 0 {
        broker.setPaused(consumer, true)
        side.cancelled.append(consumer)
      } else {
        broker.remove(consumer)
      }
      if let queue = rabbitMQ.queue(of: consumer) { rabbitMQ.consumerLeft(queue) }
    }
    replyTag(request, tag)
    hold(connection, until: broker.gate)
  }

  // MARK: Get

  func rabbitMQGet(_ request: Request) throws(RequestStop) {
    let connection = request.connection
    let side = connection.rabbitMQSide()
    let name = try request.queueName()
    let noAck = try request.boolean(.noAck) ?? false
    let token = nextToken
    nextToken += 1
    let consumer: Consumer
    do throws(AMQPError) {
      let queue = try rabbitMQ.queue(name, connection.key)
      broker.enforceQueueRules()
      consumer = try rabbitMQ.getter(queue, connection: connection.key, noAck: noAck)
    } catch { throw RequestStop(error) }
    if !connection.fetchers.contains(where: { $0 === consumer }) { connection.fetchers.append(consumer) }
    let reply: Answer<FetchReply>
    do throws(BrokerStop) { reply = try broker.fetch(consumer, limit: 1, waitMs: 0, token: token) } catch {
      throw RequestStop(error)
    }
    switch reply.value {
    case .messages(let deliveries):
      writeRabbitMQGot(deliveries, consumer, rid: request.rid, connection)
      hold(connection, until: reply.gate)
    case .later:
      connection.fetchRids[token] = Array(request.rid ?? UnsafeRawBufferPointer(start: nil, count: 0))
      connection.blockingFetch = token
      side.gets[token] = true
    }
  }

  /// The reply to a `get`.
  func writeRabbitMQGot(
    _ deliveries: [Delivery], _ consumer: Consumer, rid: UnsafeRawBufferPointer?, _ connection: Connection
  ) {
    connection.out.beginReply(rid: rid)
    if let delivery = deliveries.first {
      writeRabbitMQContent(delivery, tag: connection.rabbitMQSide().tag(delivery), connection)
      connection.out.append(",\"messageCount\":")
      connection.out.appendInteger(Int64(consumer.group?.readyCount ?? 0))
    } else {
      connection.out.append(",\"empty\":true")
    }
    connection.out.endLine()
  }

  /// Whether a fetch that is answered now was a `get`.
  func isRabbitMQGet(_ token: UInt64, _ connection: Connection) -> Bool {
    connection.rabbitMQ?.gets.removeValue(forKey: token) != nil
  }

  // MARK: Settling deliveries

  private func taken(_ request: Request) throws(RequestStop) -> [RabbitMQConnection.Unsettled] {
    guard let tag = try request.integer(.deliveryTag, in: 0 ... .max) else { throw .refused(.missing(.deliveryTag)) }
    let isMultiple = try request.boolean(.multiple) ?? false
    do throws(BrokerStop) { try broker.requireWorking() } catch { throw RequestStop(error) }
    if let taken = request.connection.rabbitMQ?.take(UInt64(tag), multiple: isMultiple) {
      return taken.filter { $0.group.topic.isAlive }
    }
    throw RequestStop(AMQPError.unknownDeliveryTag(tag))
  }

  /// Calls `body` with the deliveries of each queue, in their order.
  private func forEachQueue(
    _ taken: [RabbitMQConnection.Unsettled], _ body: (Group, [TopicOffset]) throws(BrokerStop) -> Void
  ) throws(RequestStop) {
    var rest = taken[...]
    while let first = rest.first {
      let end = rest.firstIndex { $0.group !== first.group } ?? rest.endIndex
      do throws(BrokerStop) { try body(first.group, rest[..<end].map(\.offset)) } catch {
        throw RequestStop(error)
      }
      rest = rest[end...]
    }
  }

  func rabbitMQAck(_ request: Request) throws(RequestStop) {
    let taken = try taken(request)
    try forEachQueue(taken) { group, offsets throws(BrokerStop) in _ = try broker.acknowledge(group, .list(offsets)) }
    replySettled(request, taken)
  }

  func rabbitMQNack(_ request: Request) throws(RequestStop) {
    let isRequeued = try request.boolean(.requeue) ?? true
    let taken = try taken(request)
    try forEachQueue(taken) { group, offsets throws(BrokerStop) in
      isRequeued ? try broker.requeue(group, offsets) : try broker.reject(group, offsets)
    }
    // What goes back to its place is not recorded: a crash would put it there, too.
    replySettled(request, isRequeued ? [] : taken)
  }

  private func replySettled(_ request: Request, _ taken: [RabbitMQConnection.Unsettled]) {
    let connection = request.connection
    if let side = connection.rabbitMQ, !side.cancelled.isEmpty {
      for consumer in side.cancelled where consumer.inFlight == 0 { broker.remove(consumer) }
      side.cancelled.removeAll { $0.inFlight == 0 }
    }
    connection.out.beginReply(rid: request.rid)
    connection.out.endLine()
    if taken.contains(where: \.isPersistent) { hold(connection, until: .endOfTurn) }
  }
}
