// The header of a request or response, whichever way it was written.

/// Which request a response answers, and how it was written. Good for ever.
public struct RequestReference: Equatable, Sendable {
  /// The number that the response repeats.
  public let opaque: Int32
  /// How the request was written, and so the response is.
  public let serialization: RemotingSerialization

  /// Puts the two together.
  public init(opaque: Int32, serialization: RemotingSerialization) {
    self.opaque = opaque
    self.serialization = serialization
  }

  /// That of a request.
  public init(_ header: RemotingHeader) {
    opaque = header.opaque
    serialization = header.serialization
  }
}

/// A header. Its views are good until the next `read` of the reader that it comes from.
public struct RemotingHeader {
  /// How it was written.
  public let serialization: RemotingSerialization
  /// What is asked for, or how a request ended.
  public let code: Int32
  /// The language of the sender.
  public let language: LanguageCode
  /// The version of the sender, by RocketMQ's count of its own versions.
  public let version: Int32
  /// The number that a response repeats from its request.
  public let opaque: Int32
  /// Bit 0: a response. Bit 1: nobody waits for a response.
  public let flag: Int32
  /// Words for people; empty when there are none.
  public let remark: UnsafeRawBufferPointer?
  /// The extension fields.
  public let fields: ExtFields

  /// The code as one of the table; nil for an unknown one.
  public var request: RequestCode? { RequestCode(rawValue: code) }
  /// Whether this answers a request.
  public var isResponse: Bool { flag & Self.responseBit != 0 }
  /// Whether the sender does not wait for an answer.
  public var isOneWay: Bool { flag & Self.oneWayBit != 0 }

  static let responseBit: Int32 = 1
  static let oneWayBit: Int32 = 2
}
