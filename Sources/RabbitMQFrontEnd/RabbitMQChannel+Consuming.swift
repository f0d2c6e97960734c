// consume, cancel, get, and what comes of them.

import Broker
import Primitives

/// What a `get` found.
public enum GetReply {
  /// A message, and how many are ready behind it.
  case message(ChannelDelivery, remaining: Int)
  /// The queue has no message that is ready.
  case empty
  /// The message must be read from disk: `answer` brings the reply when `Notice.fetched` names the token.
  case later
}

extension RabbitMQChannel {
  /// The priority that the arguments of a consumer say (`x-priority`), 0 when they say none.
  ///
  /// - Throws: 406 when it is no integer of 32 bits.
  public static func priority(_ arguments: [JSONTree.Member]) throws(AMQPError) -> Int32 {
    guard let member = arguments.first(where: { $0.key == "x-priority" }) else { return 0 }
    guard let priority = member.value.integer.flatMap({ Int32(exactly: $0) }) else {
      throw .preconditionFailed("invalid arg 'x-priority': \(member.value.shown) is not an integer of 32 bits")
    }
    return priority
  }

  /// Adds a consumer to a queue.
  ///
  /// - Parameters:
  ///   - queueName: empty for the queue that was declared last.
  ///   - wantedTag: empty to have one made.
  ///   - prefetch: unacknowledged deliveries at a time; 0: no bound; nil: as `setPrefetch` says.
  ///   - sub: the connection's number for the consumer, which its deliveries carry.
  ///   - isExclusive: whether it is to be the queue's only consumer.
  ///   - priority: consumers of a higher one are served first (`x-priority`).
  ///   The name `amq.rabbitmq.reply-to` asks for replies to the channel's own requests.
  /// - Throws: 403, 404, 405; 406 for replies that would have to be acknowledged, or are consumed already; 530 when the tag is
  ///   taken.
  public func consume(
    _ queueName: Text, tag wantedTag: Text, prefetch: Int? = nil, noAck: Bool, sub: Int64, isExclusive: Bool = false,
    priority: Int32 = 0
  ) throws(AMQPError) -> (consumer: Consumer, tag: Text) {
    let tag = wantedTag.isEmpty ? madeConsumerTag() : wantedTag
    if consumers[tag] != nil { throw AMQPError.notAllowed("attempt to reuse consumer tag '\(tag)'") }
    let queue =
      queueName == DirectReply.name
      ? try openReplies(noAck: noAck) : try rabbitMQ.queue(resolve(queueName), connection)
    let consumer = try rabbitMQ.consume(
      queue, sub: sub, connection: connection, prefetch: prefetch ?? self.prefetch, noAck: noAck,
      isExclusive: isExclusive, priority: priority)
    consumers[tag] = consumer
    shown[sub] = ShownConsumer(
      tag: tag, showsCount: queue.arguments.isQuorum,
      timeoutMs: queue.arguments.consumerTimeoutMs ?? consumerTimeoutMs)
    if let sharedCredit { broker.bind(consumer, by: sharedCredit) }
    return (consumer, tag)
  }

  /// Bounds what each consumer of the channel has unacknowledged, those that are there and those to come.
  ///
  /// RabbitMQ lets a new value count for consumers to come only. Clients that raise it for each task they hold back, such as
  /// Celery's workers, need it to reach those that are there.
  ///
  /// - Parameter prefetch: 0 for no bound.
  public func setPrefetch(_ prefetch: Int) {
    self.prefetch = prefetch
    for consumer in consumers.values.sorted(by: { $0.sub < $1.sub }) where !consumer.options.acknowledgesItself {
      broker.setCredit(consumer, Queue.credit(prefetch: prefetch))
    }
  }

  /// Bounds what all consumers of the channel have unacknowledged together.
  ///
  /// - Parameter prefetch: 0 for no bound.
  public func setSharedPrefetch(_ prefetch: Int) {
    let limit = Queue.credit(prefetch: prefetch)
    if let sharedCredit { return broker.setLimit(sharedCredit, limit) }
    let credit = SharedCredit(limit: limit)
    sharedCredit = credit
    for consumer in consumers.values.sorted(by: { $0.sub < $1.sub }) { broker.bind(consumer, by: credit) }
  }

  /// Ends a consumer; nothing happens when there is none of this tag. What it was given and has not acknowledged stays
  /// unacknowledged.
  ///
  /// - Parameter show: shows a delivery of this turn, which the client would not expect after the answer.
  /// - Returns: the consumer that has ended, and what the answer waits for.
  public func cancel(_ tag: Text, show: (ChannelDelivery, Gate) -> Void) -> Answer<Consumer?> {
    guard let consumer = consumers[tag] else { return Answer(nil, gate: broker.gate) }
    // What was published before belongs to those who were there.
    if let group = consumer.group { broker.serve(group) }
    consumers[tag] = nil
    for delivery in broker.takeDeliveries(to: consumer) {
      guard let shown = self.show(delivery) else { continue }
      show(shown, broker.gate(of: [delivery], to: consumer))
    }
    shown[consumer.sub] = nil
    if consumer.inFlight > 0 {
      broker.retire(consumer)
      cancelled.append(consumer)
    } else {
      broker.remove(consumer)
    }
    if let queue = rabbitMQ.queue(of: consumer) { rabbitMQ.consumerLeft(queue, consumer) }
    return Answer(consumer, gate: broker.gate)
  }

  /// Takes one message of a queue now.
  ///
  /// - Parameters:
  ///   - queueName: empty for the queue that was declared last.
  ///   - token: a number of the caller's that no other fetch has.
  /// - Throws: 404, 405.
  public func get(_ queueName: Text, noAck: Bool, token: UInt64) throws(AMQPError) -> Answer<GetReply> {
    let queue = try rabbitMQ.queue(resolve(queueName), connection)
    broker.enforceQueueRules()
    // Consumers that are ready come first.
    broker.serve(queue.group)
    let consumer = try rabbitMQ.getter(queue, connection: connection, noAck: noAck)
    if !getters.contains(where: { $0 === consumer }) { getters.append(consumer) }
    let reply: Answer<FetchReply>
    do throws(BrokerStop) { reply = try broker.fetch(consumer, limit: 1, waitMs: 0, token: token) } catch {
      throw .stopped(error)
    }
    switch reply.value {
    case .messages(let deliveries): return Answer(got(deliveries, consumer), gate: reply.gate)
    case .later:
      waitingGets.insert(token)
      return Answer(.later, gate: reply.gate)
    }
  }

  /// The reply to a `get` that had to wait; nil when no `get` of this channel has the token.
  public func answer(_ token: UInt64, _ deliveries: [Delivery], _ consumer: Consumer) -> GetReply? {
    waitingGets.remove(token) == nil ? nil : got(deliveries, consumer)
  }

  private func got(_ deliveries: [Delivery], _ consumer: Consumer) -> GetReply {
    guard let delivery = deliveries.first else { return .empty }
    let arguments = rabbitMQ.queue(of: consumer)?.arguments
    let got = tag(
      delivery, nil, showsCount: arguments?.isQuorum == true,
      timeoutMs: arguments?.consumerTimeoutMs ?? consumerTimeoutMs)
    return .message(got, remaining: consumer.group?.readyCount ?? 0)
  }

  // MARK: What the broker says

  /// How a delivery to one of the channel's consumers is shown; nil when the consumer was cancelled.
  public func show(_ delivery: Delivery) -> ChannelDelivery? {
    guard let consumer = shown[delivery.consumer.sub] else { return nil }
    return tag(delivery, consumer.tag, showsCount: consumer.showsCount, timeoutMs: consumer.timeoutMs)
  }

  /// A queue was deleted under a consumer, which the broker has forgotten. Gives the tag that the client is told of; nil when
  /// the client does not know the consumer any more.
  public func forget(_ consumer: Consumer) -> Text? {
    cancelled.removeAll { $0 === consumer }
    getters.removeAll { $0 === consumer }
    guard let tag = shown.removeValue(forKey: consumer.sub)?.tag else { return nil }
    consumers[tag] = nil
    return tag
  }

  /// The tag of a consumer of this channel.
  public func tag(of consumer: Consumer) -> Text? { shown[consumer.sub]?.tag }
}
