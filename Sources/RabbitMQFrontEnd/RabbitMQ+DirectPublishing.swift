// The short way of a message that comes by AMQP: from the bytes received into the record, without anything made in between.
//
// Holds: a message that goes this way ends exactly as `check` and `send` would let it end. It is not for messages whose headers
// say where they go or how, nor for those that come back: these take the long way.
// Leaves to others: everything that does not go this way (RabbitMQ+Publishing).

import AMQPProtocol
import Broker
import LineProtocol
import Primitives

/// A message as it came by AMQP. Buffers are the caller's and only looked at during the call.
public struct AMQPMessage {
  /// The name of the exchange.
  public let exchange: UnsafeRawBufferPointer
  /// The routing key.
  public let routingKey: UnsafeRawBufferPointer
  /// The properties, read from `propertyBytes`.
  public let properties: BasicProperties
  /// Flags and values, as they came.
  public let propertyBytes: UnsafeRawBufferPointer
  /// The body.
  public let body: UnsafeRawBufferPointer
  /// Whether it comes back when there is no queue for it.
  public let isMandatory: Bool

  /// Puts a message together.
  public init(
    exchange: UnsafeRawBufferPointer, routingKey: UnsafeRawBufferPointer, properties: BasicProperties,
    propertyBytes: UnsafeRawBufferPointer, body: UnsafeRawBufferPointer, isMandatory: Bool
  ) {
    self.exchange = exchange
    self.routingKey = routingKey
    self.properties = properties
    self.propertyBytes = propertyBytes
    self.body = body
    self.isMandatory = isMandatory
  }

  /// Whether it survives a restart in a durable queue.
  var isPersistent: Bool { properties.deliveryMode == 2 }

  /// What its record's flags say.
  fileprivate var flags: UInt32 {
    (isPersistent ? 0 : RecordFlags.transient) | BodyEncoding.bytes.flags
      | RecordFlags.priority(properties.priority ?? 0)
  }

  /// The same for the long way.
  public var publication: Publication {
    var publication = Publication(
      exchange: Text(exchange), routingKey: Text(routingKey), body: body, encoding: .bytes)
    publication.properties = .amqp(properties)
    publication.isPersistent = isPersistent
    publication.isMandatory = isMandatory
    publication.expiration = properties.expiration.map { Text($0) }
    publication.replyTo = properties.replyTo.map { Text($0) }
    return publication
  }

  /// Whether it is a request whose reply is to come directly.
  var wantsDirectReply: Bool { properties.replyTo.map { DirectReply.isName($0) } ?? false }

  /// Whether its headers say where it goes.
  public var hasKeysInHeaders: Bool {
    guard let headers = properties.headers else { return false }
    for field in headers.fields where field.isNamed("CC") || field.isNamed("BCC") { return true }
    return false
  }

  /// Whether only the long way will do.
  fileprivate var isSpecial: Bool { hasKeysInHeaders }
}

extension RabbitMQ {
  /// Publishes a message: into every queue that its exchange finds, in one record.
  public func publish(_ message: AMQPMessage) throws(AMQPError) -> PublicationOutcome {
    if !message.isSpecial, let outcome = try publishDirectly(message) { return outcome }
    return try publish(message.publication)
  }

  /// Nil when the message must take the long way.
  private func publishDirectly(_ message: AMQPMessage) throws(AMQPError) -> PublicationOutcome? {
    let route = knownRoutes.route(message.exchange, message.routingKey) {
      findRoute(message.exchange, message.routingKey)
    }
    guard var targets = route.targets else { return nil }
    if let expiration = message.properties.expiration {
      let timeToLiveMs = try Self.timeToLiveMs(expiration: Text(expiration))
      for place in targets.indices { targets[place].limit(timeToLiveMs) }
    }
    if targets.isEmpty { return message.isMandatory ? nil : PublicationOutcome() }
    directHeaders.removeAll()
    directHeaders.appendEnvelope(exchange: message.exchange, routingKey: message.routingKey, .amqp)
    directHeaders.append(message.propertyBytes)
    var parts = MessageParts(id: UnsafeRawBufferPointer(start: nil, count: 0), body: message.body)
    parts.headers = directHeaders.readable
    parts.flags = message.flags
    do throws(BrokerStop) { try broker.requireRoom(for: parts) } catch { throw .stopped(error) }
    broker.enqueue(parts, to: targets)
    broker.enforceQueueRules()
    var outcome = PublicationOutcome(isRouted: true)
    if message.isPersistent, route.hasDurableQueue { outcome.gate = broker.gate }
    return outcome
  }

  /// Routes by exchange and key alone, and finds out whether that is all there is to it.
  private func findRoute(_ name: UnsafeRawBufferPointer, _ key: UnsafeRawBufferPointer) -> KnownRoute {
    guard let exchange = exchanges[Text(name)], !exchange.isInternal else {
      return KnownRoute(name, key, nil, hasDurableQueue: false)
    }
    var saysAll = true
    let routes = route(
      exchange, [Text(key)],
      isDelayed: {
        saysAll = false
        return false
      }
    ) {
      saysAll = false
      return [:]
    }
    guard saysAll, !routes.namesTopics, routes.queues.allSatisfy(\.takesEverything) else {
      return KnownRoute(name, key, nil, hasDurableQueue: false)
    }
    return KnownRoute(
      name, key, routes.queues.map { target($0, nil) }, hasDurableQueue: routes.queues.contains(where: \.isDurable))
  }
}

extension QueueTarget {
  /// The smaller of the two times to live counts.
  fileprivate mutating func limit(_ timeToLiveMs: Int64) {
    self.timeToLiveMs = min(self.timeToLiveMs ?? .max, timeToLiveMs)
  }
}
