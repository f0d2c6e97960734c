// Refusals as AMQP numbers and words them.

import Broker
import LineProtocol

/// Why an operation of the front end did not succeed.
public enum AMQPError: Error {
  /// With the protocol's code and AMQP's reply code.
  case refused(Refusal)
  /// The broker stopped it.
  case stopped(BrokerStop)

  static func reply(_ code: WireError, _ number: Int, _ name: String, _ text: String) -> AMQPError {
    var refusal = Refusal(code: code, message: "\(name) - \(text)")
    refusal.replyCode = number
    return .refused(refusal)
  }

  static func preconditionFailed(_ text: String) -> AMQPError {
    reply(.preconditionFailed, 406, "PRECONDITION_FAILED", text)
  }
  static func notFound(_ text: String) -> AMQPError { reply(.notFound, 404, "NOT_FOUND", text) }
  static func accessRefused(_ text: String) -> AMQPError { reply(.forbidden, 403, "ACCESS_REFUSED", text) }
  static func resourceLocked(_ text: String) -> AMQPError { reply(.forbidden, 405, "RESOURCE_LOCKED", text) }
  static func locked(_ queue: Text) -> AMQPError {
    resourceLocked(
      "cannot obtain exclusive access to locked queue '\(queue)'. It could be originally declared on another connection "
        + "or the exclusive property value does not match that of the original declaration.")
  }
  static func inExclusiveUse(_ queue: Text) -> AMQPError { accessRefused("queue '\(queue)' in exclusive use") }
  static func limitExceeded(_ what: String, _ limit: Int) -> AMQPError {
    .refused(Refusal(code: .limitExceeded, message: "there are \(limit) \(what), and no more are allowed"))
  }
  static func notAllowed(_ text: String) -> AMQPError { reply(.badState, 530, "NOT_ALLOWED", text) }
  static var noPreviousQueue: AMQPError { notFound("no previously declared queue") }
  static func unknownDeliveryTag(_ tag: UInt64) -> AMQPError { preconditionFailed("unknown delivery tag \(tag)") }
}
