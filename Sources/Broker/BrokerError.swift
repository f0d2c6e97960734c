// Why the broker does not do what it was asked.

/// What a refused command is told. The codes are the protocol's; the text is for people.
public struct BrokerRefusal: Error, Equatable {
  /// The stable code.
  public enum Code: Sendable {
    case badRequest, notFound, exists, delayOutOfRange, bodyTooLarge, limitExceeded, busy, diskFull, storageFailed,
      badState
  }

  /// The code.
  public var code: Code
  /// What happened, to which thing, what to do.
  public var message: String

  /// Puts the two together.
  public init(_ code: Code, _ message: String) {
    self.code = code
    self.message = message
  }
}

/// Why a command did not finish now.
public enum BrokerStop: Error {
  /// The command is refused.
  case refused(BrokerRefusal)
  /// It needs something from disk. Give the same command again when `Notice.retry` names its connection.
  case waitForDisk

  static func refuse(_ code: BrokerRefusal.Code, _ message: String) -> BrokerStop {
    .refused(BrokerRefusal(code, message))
  }
}
