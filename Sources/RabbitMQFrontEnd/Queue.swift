// A queue as RabbitMQ's users know it: its declaration, and the broker's queue behind it.

import Broker

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
    rules.retry = arguments.retry
  }

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
