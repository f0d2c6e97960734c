// The error codes of the line protocol: the one table that defines them, and the refusal that carries one to the client.
//
// Holds: codes are stable; a code is never renamed or reused.
// Leaves to others: whether the connection stays open (the server closes it after `bad_json` and `line_too_long`).

/// What a request can be refused with. The raw value is the code on the wire.
public enum WireError: String, CaseIterable, Sendable {
  /// Not a JSON object by RFC 8259, or one that breaks a rule of the framing. The connection closes.
  case badJSON = "bad_json"
  /// A line longer than the server's `maxLineBytes`. The connection closes.
  case lineTooLong = "line_too_long"
  /// A field is missing, unknown, of the wrong type or out of its range.
  case badRequest = "bad_request"
  /// No operation has this name.
  case unknownOp = "unknown_op"
  /// The server wants a token first.
  case unauthenticated
  /// The token does not allow this.
  case forbidden
  /// The thing named does not exist.
  case notFound = "not_found"
  /// The thing named exists already, or with other settings.
  case exists
  /// A delay or due time beyond what the server takes.
  case delayOutOfRange = "delay_out_of_range"
  /// The message body is larger than the server takes.
  case bodyTooLarge = "body_too_large"
  /// A bound of the server is reached: topics, pending messages, groups.
  case limitExceeded = "limit_exceeded"
  /// The server has too much to do now; the same request may succeed later.
  case busy
  /// No space for new messages; cancel, ack and release still work.
  case diskFull = "disk_full"
  /// A write failed; the store is frozen until a restart.
  case storageFailed = "storage_failed"
  /// The server is going down.
  case shuttingDown = "shutting_down"
  /// A declaration differs from what stands (RabbitMQ front end).
  case preconditionFailed = "precondition_failed"
  /// The operation does not fit the state of the thing it is about.
  case badState = "bad_state"
  /// Another node of the cluster leads the shard that the request is about.
  case notLeader = "not_leader"
}

/// A request refused: the code for programs, the message for people.
public struct Refusal: Error, Equatable, Sendable, CustomStringConvertible {
  /// The code that programs act on.
  public var code: WireError
  /// What happened, to which field or thing, and what to do.
  public var message: String
  /// AMQP's reply code, from the RabbitMQ front end.
  public var replyCode: Int?

  /// Makes a refusal.
  public init(code: WireError, message: String) {
    self.code = code
    self.message = message
  }

  /// Code and message in one line.
  public var description: String { "\(code.rawValue): \(message)" }

  /// `bad_request` with a message.
  public static func badRequest(_ message: String) -> Refusal { Refusal(code: .badRequest, message: message) }

  /// `bad_request`: a field that the operation cannot do without is not there.
  public static func missing(_ field: FieldName) -> Refusal { .badRequest("field '\(field.rawValue)' is missing") }

  /// `bad_request`: a field that has the right type and an impossible value; `what` completes "must be …".
  public static func invalid(_ field: FieldName, mustBe what: String) -> Refusal {
    .badRequest("field '\(field.rawValue)' must be \(what)")
  }
}
