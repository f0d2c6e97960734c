// rabbitmq.consume, cancel, qos, get, ack, nack, reject, recover: how the operations of a channel look on a line.

import Broker
import LineProtocol
import Primitives
import RabbitMQFrontEnd

extension LineSession {
  func rabbitMQConsume(_ request: Request) throws(RequestStop) {
    let name = try queueName(request)
    let noAck = try request.boolean(.noAck) ?? false
    let prefetch = try request.integer(.prefetch, in: 0...65_535).map { Int($0) }
    let tag = try request.amqpText(.consumerTag) ?? ""
    let isExclusive = try request.boolean(.exclusive) ?? false
    let arguments = try request.arguments()
    let priority = try amqp { () throws(AMQPError) in try RabbitMQChannel.priority(arguments) }
    guard consumers.count < settings.subscriptionsMax else {
      let text = "a connection can have \(settings.subscriptionsMax) consumers"
      throw .refused(Refusal(code: .limitExceeded, message: text))
    }
    let consuming = try amqp { () throws(AMQPError) in
      try rabbitMQChannel.consume(
        name, tag: tag, prefetch: prefetch, noAck: noAck, sub: nextSub, isExclusive: isExclusive,
        priority: priority)
    }
    adopt(consuming.consumer)
    replyTag(request, consuming.tag)
  }

  private func replyTag(_ request: Request, _ tag: Text) {
    beginReply(request)
    out.append(",\"consumerTag\":")
    tag.bytes.withUnsafeBytes { out.appendJSONString($0) }
    out.endLine()
  }

  func rabbitMQCancel(_ request: Request) throws(RequestStop) {
    let tag = try request.requiredAMQPText(.consumerTag)
    let ended = rabbitMQChannel.cancel(tag) { delivery, gate in
      hold(until: gate)
      write(delivery)
    }
    if let consumer = ended.value { consumers[consumer.sub] = nil }
    replyTag(request, tag)
    hold(until: ended.gate)
  }

  func rabbitMQQos(_ request: Request) throws(RequestStop) {
    guard let prefetch = try request.integer(.prefetch, in: 0...65_535) else {
      throw .refused(.missing(.prefetch))
    }
    if try request.boolean(.global) ?? false {
      rabbitMQChannel.setSharedPrefetch(Int(prefetch))
    } else {
      rabbitMQChannel.setPrefetch(Int(prefetch))
    }
    beginReply(request)
    out.endLine()
  }

  // MARK: Get

  func rabbitMQGet(_ request: Request) throws(RequestStop) {
    let name = try queueName(request)
    let noAck = try request.boolean(.noAck) ?? false
    let token = services.makeToken()
    let reply = try amqp { () throws(AMQPError) in try rabbitMQChannel.get(name, noAck: noAck, token: token) }
    if case .later = reply.value {
      waiting[token] = WaitingFetch(rid: request.rid, consumer: nil)
      blockingFetch = token
    } else {
      writeGot(reply.value, rid: request.rid)
      hold(until: reply.gate)
    }
  }

  /// The reply to a `get` that has found a message or none.
  func writeGot(_ reply: GetReply, rid: UnsafeRawBufferPointer?) {
    beginReply(rid: rid)
    if case .message(let delivery, let remaining) = reply {
      writeContent(delivery)
      out.append(",\"messageCount\":")
      out.appendInteger(Int64(remaining))
    } else {
      out.append(",\"empty\":true")
    }
    out.endLine()
  }

  // MARK: Deliveries

  /// Writes `rabbitmq.deliver`.
  func write(_ delivery: ChannelDelivery) {
    guard let tag = delivery.consumerTag else { preconditionFailure("a delivery without a consumer answers a get") }
    out.append("{\"event\":\"rabbitmq.deliver\",\"consumerTag\":")
    tag.bytes.withUnsafeBytes { out.appendJSONString($0) }
    writeContent(delivery)
    out.append("}\n")
  }

  /// `,"deliveryTag":…` up to the body.
  private func writeContent(_ shown: ChannelDelivery) {
    out.append(",\"deliveryTag\":")
    out.appendInteger(shown.deliveryTag)
    out.append(",\"redelivered\":")
    out.appendBoolean(shown.isRedelivered)
    let record = shown.delivery.record
    out.append(",")
    services.rabbitMQ.writeFields(of: record, deliveryCount: shown.deliveryCount, to: &out)
    out.appendForeignBodyField(of: record)
    wakeUpForTimeout()
  }

  // MARK: Deliveries that are kept for too long

  /// Over HTTP nothing can be said when nobody asks, and the connection does not rest for long.
  private func wakeUpForTimeout() {
    guard canPush, let channel, channel.nextTimeoutMs < output.wakeUpMs ?? .max else { return }
    output.wakeUpMs = channel.nextTimeoutMs
  }

  /// Ends the channel if a delivery has been kept for too long: its consumers are gone, and everything unacknowledged goes back.
  func closeSlowChannel() {
    guard let channel else { return }
    guard let timeoutMs = channel.findTimeout() else { return wakeUpForTimeout() }
    for (sub, consumer) in consumers where consumer.topic.isQueue { consumers[sub] = nil }
    channel.close()
    self.channel = nil
    EventWriter.closed(RabbitMQChannel.timedOut("this connection", timeoutMs: timeoutMs), to: &out)
  }

  // MARK: Acknowledging

  private func deliveryTag(_ request: Request) throws(RequestStop) -> UInt64 {
    guard let tag = try request.integer(.deliveryTag, in: 0 ... .max) else { throw .refused(.missing(.deliveryTag)) }
    return UInt64(tag)
  }

  func rabbitMQAck(_ request: Request) throws(RequestStop) {
    let tag = try deliveryTag(request)
    let isMultiple = try request.boolean(.multiple) ?? false
    try replyEmpty(request) { () throws(AMQPError) in
      try rabbitMQChannel.acknowledge(tag, multiple: isMultiple)
    }
  }

  func rabbitMQRecover(_ request: Request) throws(RequestStop) {
    try replyEmpty(request) { () throws(AMQPError) in
      try rabbitMQChannel.recover()
      return .open
    }
  }

  func rabbitMQNack(_ request: Request) throws(RequestStop) {
    let isRequeued = try request.boolean(.requeue) ?? true
    let tag = try deliveryTag(request)
    let isMultiple = try request.boolean(.multiple) ?? false
    try replyEmpty(request) { () throws(AMQPError) in
      try rabbitMQChannel.refuse(tag, multiple: isMultiple, requeue: isRequeued)
    }
  }
}
