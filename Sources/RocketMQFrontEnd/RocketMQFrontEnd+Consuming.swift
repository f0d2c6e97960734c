// subscribe, ack, sendBack.

import Broker
import LineProtocol
import Primitives

extension RocketMQFrontEnd {
  /// RocketMQ's time for the consumption of one message.
  static let ackWaitMs: Int64 = 15 * 60_000
  /// Deliveries that may come to nothing without being sent back, for example because consumers die of them, before a
  /// message goes to the dead letters: at least so many, however few retries are allowed.
  static let lostDeliveriesMin: Int64 = 16

  /// `rocketmq.subscribe`: a consumer of the topic and, sharing its credit, one of the group's retries. Gives the consumer of
  /// the topic.
  public func subscribe(
    _ call: RocketMQCall, sub: Int64, to out: inout ByteBuffer
  ) throws(RocketMQStop) -> Answer<Consumer> {
    let topic = try call.read { reader throws(Refusal) in try RequestFields.requiredTopic(reader) }
    let group = try call.read { reader throws(Refusal) in try RequestFields.requiredGroup(reader, .consumerGroup) }
    let reconsumeTimesMax = try call.read { reader throws(Refusal) in
      try Self.integer(reader, .maxReconsumeTimes, in: 0...1_000_000) ?? RetryRule.reconsumeTimesMaxDefault
    }
    let groupName = String(decoding: group, as: UTF8.self)
    var options = try call.read { reader throws(Refusal) in try Self.options(reader) }
    options.maxAttempts = UInt32(max(Self.lostDeliveriesMin, reconsumeTimesMax) + 1)
    options.deadLetterTopic = TopicNames.deadLetter(groupName)
    let retryName = TopicNames.retry(groupName)
    let consumer = try command { () throws(BrokerStop) in
      try broker.subscribe(topic: topic, group: group, sub: sub, connection: call.connection, options).value
    }
    if !retryName.utf8.elementsEqual(topic) {
      do throws(RocketMQStop) {
        try subscribeToRetries(retryName, group, consumer, options)
      } catch {
        broker.remove(consumer)
        throw error
      }
    }
    call.session.add(
      RocketMQSubscription(consumer, group: groupName, reconsumeTimesMax: reconsumeTimesMax))
    out.beginReply(rid: call.rid)
    out.append(",\"sub\":")
    out.appendInteger(sub)
    out.endLine()
    return Answer(consumer, gate: broker.gate)
  }

  /// Every retry, whatever its tag: it was wanted once.
  private func subscribeToRetries(
    _ name: String, _ group: UnsafeRawBufferPointer, _ consumer: Consumer, _ options: ConsumerOptions
  ) throws(RocketMQStop) {
    var options = options
    options.tags = nil
    options.createsAlways = true
    try command { () throws(BrokerStop) in
      _ = try name.withBytes { name throws(BrokerStop) in
        try broker.subscribe(
          topic: name, group: group, sub: consumer.sub, connection: consumer.connection, options, companion: consumer)
      }
    }
  }

  private static func options(_ reader: RequestReader) throws(Refusal) -> ConsumerOptions {
    var options = ConsumerOptions()
    if let credit = try integer(reader, .credit, in: 1...65_536) { options.credit = Int(credit) }
    if let expression = try reader.string(.subExpression) { options.tags = try TagExpression.parse(expression) }
    options.ackWaitMs = ackWaitMs
    options.isOrdered = true
    options.frontEnd = number
    return options
  }

  private static func integer(
    _ reader: RequestReader, _ field: FieldName, in range: ClosedRange<Int64>
  ) throws(Refusal) -> Int64? {
    guard let value = try reader.integer(field) else { return nil }
    guard range.contains(value) else {
      throw .invalid(field, mustBe: "from \(range.lowerBound) to \(range.upperBound)")
    }
    return value
  }

  // MARK: Answers

  private func open(
    _ call: RocketMQCall
  ) throws(RocketMQStop) -> (RocketMQSubscription, RocketMQSubscription.Open, id: UnsafeRawBufferPointer) {
    let sub = try call.read { reader throws(Refusal) in try RequestFields.requiredInteger(reader, .sub) }
    let id = try call.read { reader throws(Refusal) in try RequestFields.requiredString(reader, .msgId) }
    guard let subscription = call.session.subscriptions[sub] else {
      let text = "this connection has no RocketMQ subscription \(sub)"
      throw .refused(Refusal(code: .notFound, message: text))
    }
    guard let open = subscription.find(id) else { throw notDelivered(sub, id) }
    return (subscription, open, id)
  }

  private func notDelivered(_ sub: Int64, _ id: UnsafeRawBufferPointer) -> RocketMQStop {
    let shown = String(decoding: id.prefix(128), as: UTF8.self)
    return .refused(
      Refusal(code: .notFound, message: "subscription \(sub) has no open delivery of message '\(shown)'"))
  }

  /// `rocketmq.ack`.
  public func acknowledge(_ call: RocketMQCall, to out: inout ByteBuffer) throws(RocketMQStop) -> Gate {
    let (subscription, open, id) = try open(call)
    guard let group = open.consumer.group, broker.isPresent(open.consumer) else {
      throw notDelivered(subscription.sub, id)
    }
    let count = try command { () throws(BrokerStop) in try broker.acknowledge(group, .one(open.offset)) }
    subscription.forget(id)
    guard count.value > 0 else { throw notDelivered(subscription.sub, id) }
    out.beginReply(rid: call.rid)
    out.endLine()
    return count.gate
  }

  /// `rocketmq.sendBack`: the message comes again through the group's retry topic, or goes to its dead letters.
  public func sendBack(_ call: RocketMQCall, to out: inout ByteBuffer) throws(RocketMQStop) -> Gate {
    let level = try call.read { reader throws(Refusal) in try RequestFields.requiredInteger(reader, .delayLevel) }
    let (subscription, open, id) = try open(call)
    let found = try command { () throws(BrokerStop) in try broker.delivered(open.consumer, open.offset) }
    guard let message = found else {
      subscription.forget(id)
      throw notDelivered(subscription.sub, id)
    }
    let headers = MessageHeaders(message)
    let text = headers.forRetry(of: message, topic: open.consumer.topic.name)
    let levels = broker.settings.delayLevelsMs
    let rule = RetryRule.decide(
      level: level, reconsumeTimes: headers.reconsumeTimes, reconsumeTimesMax: subscription.reconsumeTimesMax,
      levels: levels.count)
    switch rule {
    case .level(let level):
      let delayMs = levels[level - 1]
      try move(text, TopicNames.retry(subscription.group)) { headers, topic throws(BrokerStop) in
        try broker.postpone(message, of: open.consumer, headers: headers, to: topic, delayMs: delayMs)
      }
      out.beginReply(rid: call.rid)
      out.append(",\"outcome\":\"retry\",\"delayMs\":")
      out.appendInteger(delayMs)
    case .deadLetter:
      try move(text, TopicNames.deadLetter(subscription.group)) { headers, topic throws(BrokerStop) in
        try broker.pass(message, of: open.consumer, headers: headers, to: topic)
      }
      out.beginReply(rid: call.rid)
      out.append(",\"outcome\":\"dlq\"")
    }
    subscription.forget(id)
    out.endLine()
    return broker.gate
  }

  private func move(
    _ headers: [UInt8], _ topic: String,
    _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(BrokerStop) -> Void
  ) throws(RocketMQStop) {
    try command { () throws(BrokerStop) in
      try headers.withBytes { headers throws(BrokerStop) in
        try topic.withBytes { name throws(BrokerStop) in try body(headers, name) }
      }
    }
  }
}
