// subscribe, unsubscribe, fetch, ack, nack, touch, seek.

import Broker
import LineProtocol
import Primitives

extension Server {
  func subscribe(_ request: Request) throws(RequestStop) {
    let connection = request.connection
    let topic = try request.requiredName(.topic)
    let group = try request.name(.group)
    let options = try request.consumerOptions()
    try requireSubscriptionRoom(connection)
    let answer: Answer<Consumer>
    do throws(BrokerStop) {
      answer = try broker.subscribe(
        topic: topic, group: group, sub: connection.nextSub, connection: connection.key, options)
    } catch { throw RequestStop(error) }
    let consumer = answer.value
    connection.consumers[consumer.sub] = consumer
    connection.nextSub += 1
    if connection.isDeliveryPaused { broker.setPaused(consumer, true) }
    connection.out.beginReply(rid: request.rid)
    connection.out.append(",\"sub\":")
    connection.out.appendInteger(consumer.sub)
    connection.out.endLine()
    hold(connection, until: answer.gate)
  }

  func requireSubscriptionRoom(_ connection: Connection) throws(RequestStop) {
    guard connection.consumers.count < settings.subscriptionsMax else {
      let text = "a connection can have \(settings.subscriptionsMax) subscriptions"
      throw .refused(Refusal(code: .limitExceeded, message: text))
    }
  }

  func unsubscribe(_ request: Request) throws(RequestStop) {
    let consumer = try requiredConsumer(request)
    broker.remove(consumer)
    request.connection.consumers[consumer.sub] = nil
    request.connection.rocketMQ?.remove(sub: consumer.sub)
    request.connection.out.beginReply(rid: request.rid)
    request.connection.out.endLine()
  }

  private func requiredConsumer(_ request: Request) throws(RequestStop) -> Consumer {
    guard let sub = try request.integer(.sub) else { throw .refused(.missing(.sub)) }
    guard let consumer = request.connection.consumers[sub], !consumer.topic.isQueue else {
      throw .refused(Refusal(code: .notFound, message: "this connection has no subscription \(sub)"))
    }
    return consumer
  }

  // MARK: Fetch

  func fetch(_ request: Request) throws(RequestStop) {
    let connection = request.connection
    let topic = try request.requiredName(.topic)
    let group = try request.requiredName(.group)
    let limit = try request.integer(.max, in: 1...1000) ?? 100
    let waitMs = try request.integer(.waitMs, in: 0...60_000) ?? 0
    let options = try request.consumerOptions()
    guard connection.fetchRids.count < settings.subscriptionsMax, connection.fetchers.count < settings.subscriptionsMax
    else {
      let text = "a connection can have \(settings.subscriptionsMax) fetches waiting and fetch for as many groups"
      throw .refused(Refusal(code: .limitExceeded, message: text))
    }
    let token = nextToken
    nextToken += 1
    let reply: Answer<FetchReply>
    let consumer: Consumer
    do throws(BrokerStop) {
      consumer = try broker.fetcher(topic: topic, group: group, connection: connection.key, options)
      if !connection.fetchers.contains(where: { $0 === consumer }) { connection.fetchers.append(consumer) }
      reply = try broker.fetch(consumer, limit: Int(limit), waitMs: waitMs, token: token)
    } catch { throw RequestStop(error) }
    switch reply.value {
    case .messages(let deliveries):
      writeFetched(deliveries, rid: request.rid, connection)
      hold(connection, until: reply.gate)
    case .later(let isForDisk):
      connection.fetchRids[token] = Array(request.rid ?? UnsafeRawBufferPointer(start: nil, count: 0))
      if isForDisk { connection.blockingFetch = token }
    }
  }

  /// Answers a fetch that waited.
  func answerFetch(_ connection: Connection, _ consumer: Consumer, _ token: UInt64, _ deliveries: [Delivery]) {
    guard let rid = connection.fetchRids.removeValue(forKey: token) else { return }
    rid.withUnsafeBytes {
      let rid = $0.isEmpty ? nil : $0
      if isRabbitMQGet(token, connection) {
        writeRabbitMQGot(deliveries, consumer, rid: rid, connection)
      } else {
        writeFetched(deliveries, rid: rid, connection)
      }
    }
    touch(connection)
    if connection.blockingFetch == token {
      connection.blockingFetch = nil
      // What came behind it goes on in the next turn: this one has ended.
      heldBack.append(connection)
    }
  }

  private func writeFetched(_ deliveries: [Delivery], rid: UnsafeRawBufferPointer?, _ connection: Connection) {
    connection.out.beginReply(rid: rid)
    connection.out.append(",\"messages\":[")
    for (place, delivery) in deliveries.enumerated() {
      if place > 0 { connection.out.append(",") }
      connection.out.append("{")
      EventWriter.delivery(delivery, to: &connection.out)
    }
    connection.out.append("]}\n")
  }

  // MARK: Ack, nack, touch

  private func group(_ request: Request) throws(RequestStop) -> Group {
    if request.reader.has(.sub) {
      guard !request.reader.has(.topic), !request.reader.has(.group) else {
        throw .refused(.badRequest("give either 'sub' or 'topic' and 'group'"))
      }
      guard let group = try requiredConsumer(request).group else {
        throw .refused(Refusal(code: .badState, message: "a subscription without group has nothing to acknowledge"))
      }
      return group
    }
    guard request.reader.has(.topic) || request.reader.has(.group) else {
      throw .refused(.badRequest("give either 'sub' or 'topic' and 'group'"))
    }
    let topic = try request.requiredName(.topic)
    let name = try request.requiredName(.group)
    do throws(BrokerStop) { return try broker.existingGroup(topic, name) } catch { throw RequestStop(error) }
  }

  func ack(_ request: Request) throws(RequestStop) {
    try settle(request, ",\"acked\":") { server, group, selection throws(BrokerStop) in
      try server.broker.acknowledge(group, selection)
    }
  }

  func nack(_ request: Request) throws(RequestStop) {
    let delayMs = try request.integer(.delayMs, in: 0 ... .max)
    try settle(request, ",\"nacked\":") { server, group, selection throws(BrokerStop) in
      try server.broker.refuse(group, selection, delayMs: delayMs)
    }
  }

  func touch(_ request: Request) throws(RequestStop) {
    try settle(request, ",\"touched\":") { server, group, selection throws(BrokerStop) in
      try server.broker.touch(group, selection)
    }
  }

  private func settle(
    _ request: Request, _ field: StaticString, _ body: (Server, Group, Selection) throws(BrokerStop) -> Answer<Int>
  ) throws(RequestStop) {
    let connection = request.connection
    let acks = try request.acks()
    let selection = try request.selection()
    let group = try group(request)
    let count: Answer<Int>
    do throws(BrokerStop) { count = try body(self, group, selection) } catch { throw RequestStop(error) }
    if acks == .none { return }
    connection.out.beginReply(rid: request.rid)
    connection.out.append(field)
    connection.out.appendInteger(Int64(count.value))
    connection.out.endLine()
    if acks == .disk { hold(connection, until: count.gate) }
  }

  func seek(_ request: Request) throws(RequestStop) {
    let connection = request.connection
    let topic = try request.requiredName(.topic)
    let group = try request.requiredName(.group)
    guard let start = try request.startPosition(.to) else { throw .refused(.missing(.to)) }
    let offset: Answer<TopicOffset>
    do throws(BrokerStop) {
      offset = try broker.seek(topic: topic, group: group, to: start, connection: connection.key)
    } catch { throw RequestStop(error) }
    connection.out.beginReply(rid: request.rid)
    connection.out.append(",\"offset\":")
    connection.out.appendInteger(offset.value)
    connection.out.endLine()
    hold(connection, until: offset.gate)
  }

  func redrive(_ request: Request) throws(RequestStop) {
    let connection = request.connection
    let topic = try request.requiredName(.topic)
    let group = try request.requiredName(.group)
    let limit = try request.integer(.limit, in: 1...10_000) ?? 1000
    let result: Answer<(redriven: Int, remaining: UInt64)>
    do throws(BrokerStop) {
      result = try broker.redrive(topic: topic, group: group, limit: Int(limit), connection: connection.key)
    } catch { throw RequestStop(error) }
    connection.out.beginReply(rid: request.rid)
    connection.out.append(",\"redriven\":")
    connection.out.appendInteger(Int64(result.value.redriven))
    connection.out.append(",\"remaining\":")
    connection.out.appendInteger(result.value.remaining)
    connection.out.endLine()
    hold(connection, until: result.gate)
  }
}
