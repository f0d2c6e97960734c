// A queue as RabbitMQ's users know it: its declaration, and the broker's queue behind it.

import Broker

/// What `x-overflow` says.
enum Overflow: String, CaseIterable {
  case dropHead = "drop-head"
  case rejectPublish = "reject-publish"
  case rejectPublishDLX = "reject-publish-dlx"
}

/// What the arguments of a queue say.
struct QueueArguments {
  var all: [JSONTree.Member] = []
  var messageTTLMs: Int64?
  var expiresMs: Int64?
  var deadLetterExchange: Text?
  var deadLetterRoutingKey: Text?
  var lengthMax: Int64?
  var bytesMax: Int64?
  var overflow = Overflow.dropHead
  var deliveryLimit: Int64?
  var prioritiesMax: UInt8 = 0
  var hasSingleActive = false
  /// Whether it was declared as a quorum queue, whose deliveries say how often they came to nothing before.
  var isQuorum = false

  /// The longest time to live that RabbitMQ takes: ten years.
  static let timeToLiveMsMax: Int64 = 315_360_000_000

  /// How RabbitMQ stores a queue, and the values that it knows.
  private static let storage: [Text: [JSONTree]] = [
    "x-queue-type": [.string("classic"), .string("quorum")], "x-queue-mode": [.string("default"), .string("lazy")],
    "x-queue-version": [.integer(1), .integer(2)],
  ]
  /// Arguments that RabbitMQ gives a meaning to and we do not yet.
  private static let unsupported: Set<Text> = [
    "x-consumer-timeout", "x-delayed-retry-type", "x-delayed-retry-min", "x-delayed-retry-max",
  ]
  /// Arguments that two declarations must agree on, in the order in which RabbitMQ compares them.
  static let compared: [Text] = [
    "x-expires", "x-message-ttl", "x-dead-letter-exchange", "x-dead-letter-routing-key", "x-max-length",
    "x-max-length-bytes", "x-max-priority", "x-overflow", "x-queue-mode", "x-queue-version", "x-single-active-consumer",
    "x-queue-type", "x-delivery-limit",
  ]

  init(_ members: [JSONTree.Member], queue: Text) throws(AMQPError) {
    all = members
    for member in members {
      switch member.key {
      case "x-message-ttl": messageTTLMs = try Self.number(member, queue, 0...Self.timeToLiveMsMax)
      case "x-expires": expiresMs = try Self.number(member, queue, 1...Self.timeToLiveMsMax)
      case "x-dead-letter-exchange": deadLetterExchange = try Self.text(member, queue)
      case "x-dead-letter-routing-key": deadLetterRoutingKey = try Self.text(member, queue)
      case "x-max-length": lengthMax = try Self.number(member, queue, 0 ... .max)
      case "x-max-length-bytes": bytesMax = try Self.number(member, queue, 0 ... .max)
      case "x-delivery-limit": deliveryLimit = try Self.number(member, queue, 0...Int64(UInt32.max) - 1)
      case "x-overflow":
        guard let overflow = Overflow(rawValue: try Self.text(member, queue).description) else {
          throw Self.invalid(member, queue, "not one of drop-head, reject-publish, reject-publish-dlx")
        }
        self.overflow = overflow
      case "x-max-priority": prioritiesMax = UInt8(try Self.number(member, queue, 0...255))
      case "x-single-active-consumer":
        guard case .boolean(let isSingle) = member.value else { throw Self.invalid(member, queue, "not a boolean") }
        hasSingleActive = isSingle
      case "x-queue-type": isQuorum = member.value == .string("quorum")
      default:
        // What we do not do must not look as if we did. What we do not know is kept and means nothing, as in RabbitMQ.
        if Self.unsupported.contains(member.key) { throw Self.invalid(member, queue, "not supported") }
      }
    }
    if let member = members.first(where: { $0.key == "x-dead-letter-routing-key" }), deadLetterExchange == nil {
      throw Self.invalid(member, queue, "a dead-letter routing key without 'x-dead-letter-exchange'")
    }
  }

  /// Refuses values that RabbitMQ has no storage for, and streams, which are no queues.
  static func requireKnownStorage(_ members: [JSONTree.Member], queue: Text) throws(AMQPError) {
    for member in members {
      guard let known = storage[member.key], !known.contains(member.value) else { continue }
      throw invalid(member, queue, "not one of \(known.map(\.plain).joined(separator: ", "))")
    }
  }

  private static func number(
    _ member: JSONTree.Member, _ queue: Text, _ range: ClosedRange<Int64>
  ) throws(AMQPError) -> Int64 {
    guard let value = member.value.integer else { throw invalid(member, queue, "not an integer") }
    guard value >= range.lowerBound else {
      throw invalid(member, queue, value < 0 ? "negative" : "not more than zero")
    }
    guard value <= range.upperBound else { throw invalid(member, queue, "too large") }
    return value
  }

  private static func text(_ member: JSONTree.Member, _ queue: Text) throws(AMQPError) -> Text {
    guard let text = member.value.text else { throw invalid(member, queue, "not a string") }
    return text
  }

  private static func invalid(_ member: JSONTree.Member, _ queue: Text, _ why: String) -> AMQPError {
    .preconditionFailed(
      "invalid arg '\(member.key)' for queue '\(queue)'", isInVirtualHost: true, ": \(member.value.shown) is \(why)")
  }
}

/// A queue.
public final class Queue {
  /// Its name.
  public let name: Text
  /// The broker's side.
  public let group: Group
  /// Whether it survives a restart.
  public let isDurable: Bool
  let isAutoDelete: Bool
  /// The connection that it belongs to alone; nil when it is for all.
  let owner: UInt64?
  let arguments: QueueArguments
  /// Whether it outlives the server, and so its declaration stands in the catalog.
  var isKept: Bool { isDurable && owner == nil }
  var bindings = BindingList()
  /// Whether it takes every message, wherever it stands in the queue then: nothing but its name is to be known of it.
  var takesEverything: Bool { arguments.overflow == .dropHead }
  /// The consumer that has it for itself alone.
  var exclusiveConsumer: Consumer?
  /// Consumers now.
  public internal(set) var consumerCount = 0
  /// The routing that visited it last.
  var visited: UInt64 = 0

  init(
    _ name: Text, _ group: Group, isDurable: Bool, isAutoDelete: Bool, owner: UInt64?, _ arguments: QueueArguments
  ) {
    self.name = name
    self.group = group
    self.isDurable = isDurable
    self.isAutoDelete = isAutoDelete
    self.owner = owner
    self.arguments = arguments
    guard let rules = group.queue else { preconditionFailure("a queue stands on a broker's queue") }
    rules.isDurable = isDurable
    rules.messagesMax = arguments.lengthMax.map { Int(clamping: $0) }
    rules.bytesMax = arguments.bytesMax.map { Int(clamping: $0) }
    rules.dropsOldest = arguments.overflow == .dropHead
    rules.hasDeadLetters = arguments.deadLetterExchange != nil
    rules.prioritiesMax = arguments.prioritiesMax
    rules.hasSingleActive = arguments.hasSingleActive
  }

  /// The name of the topic behind a queue: no native name has a slash.
  static let topicPrefix = "rabbitmq/queue/"

  /// A credit that bounds nothing: what a group may have outstanding does.
  private static let unbounded = Int(Int32.max)

  /// The credit that a prefetch means: 0 is no bound.
  static func credit(prefetch: Int) -> Int { prefetch == 0 ? unbounded : prefetch }

  /// How its consumers are served.
  func options(prefetch: Int, noAck: Bool, priority: Int32 = 0) -> ConsumerOptions {
    var options = ConsumerOptions()
    options.priority = priority
    options.credit = noAck ? Self.unbounded : Self.credit(prefetch: prefetch)
    options.ackWaitMs = ConsumerOptions.ackWaitForEver
    options.acknowledgesItself = noAck
    // The limit counts deliveries that came to nothing; the first one is not a return.
    options.maxAttempts = arguments.deliveryLimit.map { UInt32($0) + 1 } ?? .max
    return options
  }
}

extension RabbitMQ {
  /// What people call the topic behind a queue; nil for another topic.
  public static func words(forTopic name: String) -> String? {
    if name.hasPrefix(Queue.topicPrefix) { return "RabbitMQ queue \(name.dropFirst(Queue.topicPrefix.count))" }
    guard name.hasPrefix(relayPrefix) else { return nil }
    return "RabbitMQ exchange \(name.dropFirst(relayPrefix.count))"
  }
}
