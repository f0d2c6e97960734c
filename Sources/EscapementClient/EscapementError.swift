// What can go wrong, as callers can tell it apart.

/// The server's stable error codes. A code this client does not know is kept as it came.
public struct RefusalCode: RawRepresentable, Hashable, Sendable {
  /// The code on the wire.
  public let rawValue: String

  /// Wraps a code.
  public init(rawValue: String) { self.rawValue = rawValue }

  /// The line was not a JSON object the server accepts; it closes the connection.
  public static let badJSON = RefusalCode(rawValue: "bad_json")
  /// The line was longer than `maxLineBytes`; it closes the connection.
  public static let lineTooLong = RefusalCode(rawValue: "line_too_long")
  /// An unknown field, a wrong type or a value out of range.
  public static let badRequest = RefusalCode(rawValue: "bad_request")
  /// No such operation.
  public static let unknownOp = RefusalCode(rawValue: "unknown_op")
  /// A token is needed, or it was wrong.
  public static let unauthenticated = RefusalCode(rawValue: "unauthenticated")
  /// The token does not allow this.
  public static let forbidden = RefusalCode(rawValue: "forbidden")
  /// No such topic, group, subscription or message.
  public static let notFound = RefusalCode(rawValue: "not_found")
  /// The id or topic stands already.
  public static let exists = RefusalCode(rawValue: "exists")
  /// Later than `maxDelayMs` from now.
  public static let delayOutOfRange = RefusalCode(rawValue: "delay_out_of_range")
  /// The body is larger than the server takes.
  public static let bodyTooLarge = RefusalCode(rawValue: "body_too_large")
  /// A named limit of the server is reached.
  public static let limitExceeded = RefusalCode(rawValue: "limit_exceeded")
  /// Too much at once; try again later.
  public static let busy = RefusalCode(rawValue: "busy")
  /// No space for new messages; cancel and ack still work.
  public static let diskFull = RefusalCode(rawValue: "disk_full")
  /// A write or sync failed; the server needs a restart.
  public static let storageFailed = RefusalCode(rawValue: "storage_failed")
  /// The server is going down.
  public static let shuttingDown = RefusalCode(rawValue: "shutting_down")
  /// A condition of the operation does not hold.
  public static let preconditionFailed = RefusalCode(rawValue: "precondition_failed")
  /// Another node of the cluster leads what this is about.
  public static let notLeader = RefusalCode(rawValue: "not_leader")
  /// The operation does not fit the state.
  public static let badState = RefusalCode(rawValue: "bad_state")
}

/// What a client operation fails with (besides `CancellationError`).
public enum EscapementError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The server said no.
  case refused(code: RefusalCode, message: String)
  /// There is no connection, or it broke before the reply came and the request is not safe to repeat: it may or may not
  /// have taken effect.
  case connectionLost(reason: String)
  /// `close()` was called.
  case closed
  /// No reply in time. The request may or may not have taken effect.
  case timeout(op: String)
  /// The server's answer is not one the protocol knows.
  case badReply(String)
  /// Found wrong before anything was sent.
  case invalidRequest(String)
  /// More requests wait for their replies than `Configuration.pendingMax` allows.
  case tooManyPending(limit: Int)
  /// A tail without a group was read more slowly than messages came, and `Configuration.tailBufferMax` was reached.
  case fellBehind(limit: Int)

  /// What happened, for people.
  public var description: String {
    switch self {
    case .refused(let code, let message): "the server refused (\(code.rawValue)): \(message)"
    case .connectionLost(let reason): "no connection to the server: \(reason)"
    case .closed: "the client is closed"
    case .timeout(let op): "no reply to '\(op)' in time"
    case .badReply(let reason): "the server's answer cannot be understood: \(reason)"
    case .invalidRequest(let reason): reason
    case .tooManyPending(let limit): "\(limit) requests already wait for their replies"
    case .fellBehind(let limit): "\(limit) messages lie unread; the tail was ended rather than grow further"
    }
  }
}
