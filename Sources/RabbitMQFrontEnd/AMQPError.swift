// Why an operation of the front end did not succeed, in RabbitMQ's words.

import AMQPProtocol
import Broker
import LineProtocol

/// Why an operation of the front end did not succeed.
public enum AMQPError: Error {
  /// The front end refuses it.
  case refused(AMQPRefusal)
  /// The broker stopped it.
  case stopped(BrokerStop)

  static func preconditionFailed(_ text: String, isInVirtualHost: Bool = false, _ rest: String = "") -> AMQPError {
    .refused(AMQPRefusal(.preconditionFailed, .preconditionFailed, text, isInVirtualHost, rest))
  }
  static func notFound(_ text: String, isInVirtualHost: Bool = false) -> AMQPError {
    .refused(AMQPRefusal(.notFound, .notFound, text, isInVirtualHost))
  }
  static func accessRefused(_ text: String, isInVirtualHost: Bool = false, _ rest: String = "") -> AMQPError {
    .refused(AMQPRefusal(.forbidden, .accessRefused, text, isInVirtualHost, rest))
  }
  static func locked(_ queue: Text) -> AMQPError {
    .refused(
      AMQPRefusal(
        .forbidden, .resourceLocked, "cannot obtain exclusive access to locked queue '\(queue)'", true,
        ". It could be originally declared on another connection or the exclusive property value does not match that of "
          + "the original declaration."))
  }
  static func inExclusiveUse(_ queue: Text) -> AMQPError {
    accessRefused("queue '\(queue)'", isInVirtualHost: true, " in exclusive use")
  }
  static func limitExceeded(_ what: String, _ limit: Int) -> AMQPError {
    .refused(AMQPRefusal(.limitExceeded, nil, "there are \(limit) \(what), and no more are allowed", false))
  }
  static func notAllowed(_ text: String) -> AMQPError {
    .refused(AMQPRefusal(.badState, .notAllowed, text, false))
  }
  static var noPreviousQueue: AMQPError { notFound("no previously declared queue") }
  static func unknownDeliveryTag(_ tag: UInt64) -> AMQPError { preconditionFailed("unknown delivery tag \(tag)") }
}

/// What a client is told that asked for something impossible, for either wire.
public struct AMQPRefusal: Sendable {
  /// AMQP's reply code; nil for bounds that RabbitMQ does not have.
  public let reply: ReplyCode?
  private let code: WireError
  private let text: String
  // AMQP names the virtual host between the two; the line protocol has none.
  private let isInVirtualHost: Bool
  private let rest: String

  init(_ code: WireError, _ reply: ReplyCode?, _ text: String, _ isInVirtualHost: Bool, _ rest: String = "") {
    self.code = code
    self.reply = reply
    self.text = text
    self.isInVirtualHost = isInVirtualHost
    self.rest = rest
  }

  /// Why, in words, without the name of the code.
  public func explanation(virtualHost: String) -> String {
    isInVirtualHost ? "\(text) in vhost '\(virtualHost)'\(rest)" : text + rest
  }

  /// As the line protocol says it.
  public var onALine: Refusal {
    var refusal = Refusal(code: code, message: (reply.map { $0.name + " - " } ?? "") + text + rest)
    refusal.replyCode = reply.map { Int($0.rawValue) }
    return refusal
  }
}
