// The codes of responses.
//
// Source: RocketMQ's `ResponseCode` and `RemotingSysResponseCode`.

/// How a request ended. The raw value is the code on the wire.
public enum ResponseCode: Int32, CaseIterable, Sendable {
  case success = 0
  /// The request failed or was malformed; the remark says why.
  case systemError = 1
  /// Too much to do; the client may try again.
  case systemBusy = 2
  /// This server does not serve the request's code.
  case codeNotSupported = 3
  /// Stored, not yet durable. Clients read it as a success, so it needs the fields of one.
  case flushDiskTimeout = 10
  case messageIllegal = 13
  case serviceNotAvailable = 14
  case noPermission = 16
  case topicNotExist = 17
  /// A pull found nothing; the client asks again at the offset in `nextBeginOffset`.
  case pullNotFound = 19
  case pullRetryImmediately = 20
  /// The offset of a pull is outside the queue; the client goes on at `nextBeginOffset`.
  case pullOffsetMoved = 21
  /// There is no such offset or message.
  case queryNotFound = 22
  case subscriptionParseFailed = 23
  case subscriptionNotExist = 24
  case subscriptionNotLatest = 25
  case subscriptionGroupNotExist = 26
}
