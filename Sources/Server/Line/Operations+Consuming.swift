// subscribe, unsubscribe, fetch, ack, nack, touch, seek.

import Broker
import LineProtocol
import Primitives

extension LineSession {
  func subscribe(_ request: Request) throws(RequestStop) {
    let topic = try request.requiredName(.topic)
    let group = try request.name(.group)
    let options = try request.consumerOptions()
    try requireSubscriptionRoom()
    let answer: Answer<Consumer>
    do throws(BrokerStop) {
      answer = try broker.subscribe(
        topic: topic, group: group, sub: nextSub, connection: key, options)
    } catch { throw RequestStop(error) }
    let consumer = answer.value
    adopt(consumer)
    beginReply(request)
    out.append(",\"sub\":")
    out.appendInteger(consumer.sub)
    out.endLine()
    hold(until: answer.gate)
  }

  func requireSubscriptionRoom() throws(RequestStop) {
    guard consumers.count < settings.subscriptionsMax else {
      let text = "a connection can have \(settings.subscriptionsMax) subscriptions"
      throw .refused(Refusal(code: .limitExceeded, message: text))
    }
  }

  func unsubscribe(_ request: Request) throws(RequestStop) {
    let consumer = try requiredConsumer(request)
    broker.remove(consumer)
    consumers[consumer.sub] = nil
    rocketMQSession?.remove(sub: consumer.sub)
    beginReply(request)
    out.endLine()
  }

  private func requiredConsumer(_ request: Request) throws(RequestStop) -> Consumer {
    guard let sub = try request.integer(.sub) else { throw .refused(.missing(.sub)) }
    guard let consumer = consumers[sub], !consumer.topic.isQueue else {
      throw .refused(Refusal(code: .notFound, message: "this connection has no subscription \(sub)"))
    }
    return consumer
  }

  // MARK: Fetch

  func fetch(_ request: Request) throws(RequestStop) {
    let topic = try request.requiredName(.topic)
    let group = try request.requiredName(.group)
    let limit = try request.integer(.max, in: 1...1000) ?? 100
    let waitMs = try request.integer(.waitMs, in: 0...60_000) ?? 0
    let options = try request.consumerOptions()
    guard waiting.count < settings.subscriptionsMax, fetchers.count < settings.subscriptionsMax
    else {
      let text = "a connection can have \(settings.subscriptionsMax) fetches waiting and fetch for as many groups"
      throw .refused(Refusal(code: .limitExceeded, message: text))
    }
    let token = services.makeToken()
    let reply: Answer<FetchReply>
    let consumer: Consumer
    do throws(BrokerStop) {
      consumer = try broker.fetcher(topic: topic, group: group, connection: key, options)
      if !fetchers.contains(where: { $0 === consumer }) { fetchers.append(consumer) }
      reply = try broker.fetch(consumer, limit: Int(limit), waitMs: waitMs, token: token)
    } catch { throw RequestStop(error) }
    switch reply.value {
    case .messages(let deliveries):
      writeFetched(deliveries, rid: request.rid)
      hold(until: reply.gate)
    case .later(let isForDisk):
      waiting[token] = WaitingFetch(rid: request.rid, consumer: consumer)
      if isForDisk { blockingFetch = token }
    }
  }

  func writeFetched(_ deliveries: [Delivery], rid: UnsafeRawBufferPointer?) {
    beginReply(rid: rid)
    out.append(",\"messages\":[")
    for (place, delivery) in deliveries.enumerated() {
      if place > 0 { out.append(",") }
      out.append("{")
      EventWriter.delivery(delivery, to: &out)
    }
    out.append("]}\n")
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
    try settle(request, ",\"acked\":") { session, group, selection throws(BrokerStop) in
      try session.broker.acknowledge(group, selection)
    }
  }

  func nack(_ request: Request) throws(RequestStop) {
    let delayMs = try request.integer(.delayMs, in: 0 ... .max)
    try settle(request, ",\"nacked\":") { session, group, selection throws(BrokerStop) in
      try session.broker.refuse(group, selection, delayMs: delayMs)
    }
  }

  func touch(_ request: Request) throws(RequestStop) {
    try settle(request, ",\"touched\":") { session, group, selection throws(BrokerStop) in
      try session.broker.touch(group, selection)
    }
  }

  private func settle(
    _ request: Request, _ field: StaticString, _ body: (LineSession, Group, Selection) throws(BrokerStop) -> Answer<Int>
  ) throws(RequestStop) {
    let acks = try request.acks()
    let selection = try request.selection()
    let group = try group(request)
    let count: Answer<Int>
    do throws(BrokerStop) { count = try body(self, group, selection) } catch { throw RequestStop(error) }
    if acks == .none { return }
    beginReply(request)
    out.append(field)
    out.appendInteger(Int64(count.value))
    out.endLine()
    if acks == .disk { hold(until: count.gate) }
  }

  func seek(_ request: Request) throws(RequestStop) {
    let topic = try request.requiredName(.topic)
    let group = try request.requiredName(.group)
    guard let start = try request.startPosition(.to) else { throw .refused(.missing(.to)) }
    let offset: Answer<TopicOffset>
    do throws(BrokerStop) {
      offset = try broker.seek(topic: topic, group: group, to: start, connection: key)
    } catch { throw RequestStop(error) }
    beginReply(request)
    out.append(",\"offset\":")
    out.appendInteger(offset.value)
    out.endLine()
    hold(until: offset.gate)
  }

  func redrive(_ request: Request) throws(RequestStop) {
    let topic = try request.requiredName(.topic)
    let group = try request.requiredName(.group)
    let limit = try request.integer(.limit, in: 1...10_000) ?? 1000
    let result: Answer<(redriven: Int, remaining: UInt64)>
    do throws(BrokerStop) {
      result = try broker.redrive(topic: topic, group: group, limit: Int(limit), connection: key)
    } catch { throw RequestStop(error) }
    beginReply(request)
    out.append(",\"redriven\":")
    out.appendInteger(Int64(result.value.redriven))
    out.append(",\"remaining\":")
    out.appendInteger(result.value.remaining)
    out.endLine()
    hold(until: result.gate)
  }
}
