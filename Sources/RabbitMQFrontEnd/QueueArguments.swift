// What the arguments of a queue say: each read, checked and given its meaning in one place.
//
// Leaves to others: whether two declarations agree (Equivalence), what the rules do (Broker: QueueRules).

import Broker

/// What `x-overflow` says.
enum Overflow: String, CaseIterable {
  case dropHead = "drop-head"
  case rejectPublish = "reject-publish"
  case rejectPublishDLX = "reject-publish-dlx"
}

/// What `x-delayed-retry-type` says: which messages wait before they come again.
enum RetryType: String {
  case all, failed, returned, disabled

  /// The ways of coming back. A refusal is a failure that the consumer has returned.
  var ways: Set<GiveBack> {
    switch self {
    case .all: [.refused, .recovered, .abandoned]
    case .failed: [.refused, .abandoned]
    case .returned: [.refused, .recovered]
    case .disabled: []
    }
  }
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

  /// How long a consumer may keep a delivery; nil: as long as the server says.
  var consumerTimeoutMs: Int64?
  private var retryType = RetryType.disabled
  private var retryMsMin: Int64?
  private var retryMsMax: Int64?

  /// The longest time to live that RabbitMQ takes: ten years.
  static let timeToLiveMsMax: Int64 = 315_360_000_000

  /// How RabbitMQ stores a queue, and the values that it knows.
  private static let storage: [Text: [JSONTree]] = [
    "x-queue-type": [.string("classic"), .string("quorum")], "x-queue-mode": [.string("default"), .string("lazy")],
    "x-queue-version": [.integer(1), .integer(2)],
    "x-dead-letter-strategy": [.string("at-most-once"), .string("at-least-once")],
  ]
  /// Arguments that two declarations must agree on, in the order in which RabbitMQ compares them.
  static let compared: [Text] = [
    "x-expires", "x-message-ttl", "x-dead-letter-exchange", "x-dead-letter-routing-key", "x-max-length",
    "x-max-length-bytes", "x-max-priority", "x-overflow", "x-queue-mode", "x-queue-version", "x-single-active-consumer",
    "x-queue-type", "x-delivery-limit", "x-consumer-timeout", "x-delayed-retry-type", "x-delayed-retry-min",
    "x-delayed-retry-max",
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
      case "x-consumer-timeout": consumerTimeoutMs = try Self.number(member, queue, 1...Self.timeToLiveMsMax)
      case "x-delayed-retry-min": retryMsMin = try Self.number(member, queue, 1...Self.timeToLiveMsMax)
      case "x-delayed-retry-max": retryMsMax = try Self.number(member, queue, 1...Self.timeToLiveMsMax)
      case "x-delayed-retry-type":
        guard let type = RetryType(rawValue: try Self.text(member, queue).description) else {
          throw Self.invalid(member, queue, "not one of all, failed, returned, disabled")
        }
        retryType = type
      // What we do not know is kept and means nothing, as in RabbitMQ.
      default: continue
      }
    }
    if let member = members.first(where: { $0.key == "x-dead-letter-routing-key" }), deadLetterExchange == nil {
      throw Self.invalid(member, queue, "a dead-letter routing key without 'x-dead-letter-exchange'")
    }
    if let member = members.first(where: { $0.key == "x-delayed-retry-type" }), retryType != .disabled {
      if retryMsMin == nil { throw Self.invalid(member, queue, "a delayed retry without 'x-delayed-retry-min'") }
    }
  }

  /// How what comes back is delayed; nil: not at all.
  var retry: RetryRule? {
    guard retryType != .disabled, let retryMsMin else { return nil }
    return RetryRule(ways: retryType.ways, delayMsMin: retryMsMin, delayMsMax: retryMsMax ?? Self.timeToLiveMsMax)
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
