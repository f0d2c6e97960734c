// What can be wrong with bytes of the remoting protocol, and what a server does about it.

/// Why a frame, a header or a body cannot be taken.
public enum RemotingError: Error, Equatable, Sendable, CustomStringConvertible {
  /// A frame says that it is longer than the bound.
  case frameTooLong(bytes: Int, bytesMax: Int)
  /// A frame says that it is shorter than its header.
  case headerOutsideFrame(headerBytes: Int, frameBytes: Int)
  /// A header is neither JSON (0) nor binary (1).
  case unknownSerialization(UInt8)
  /// A header that cannot be read; the text says why.
  case malformedHeader(String)
  /// A request lacks an extension field.
  case missingField(String)
  /// An extension field has an impossible value; `mustBe` completes "must be …".
  case malformedField(String, mustBe: String)
  /// A body that cannot be read; the text says why.
  case malformedBody(String)
  /// Something of ours has no place in the protocol's layout; the text says what and why.
  case unencodable(String)

  /// Whether the connection has lost its place or its question: nothing can be answered, so close it. Any other error is
  /// answered with `ResponseCode.systemError` and the description as remark.
  public var closesConnection: Bool {
    switch self {
    case .frameTooLong, .headerOutsideFrame, .unknownSerialization, .malformedHeader: true
    case .missingField, .malformedField, .malformedBody, .unencodable: false
    }
  }

  /// What is wrong, in a sentence.
  public var description: String {
    switch self {
    case .frameTooLong(let bytes, let bytesMax):
      "a frame of \(bytes) bytes is longer than the \(bytesMax) that this server takes"
    case .headerOutsideFrame(let headerBytes, let frameBytes):
      "a header of \(headerBytes) bytes does not fit into its frame of \(frameBytes)"
    case .unknownSerialization(let type):
      "headers of serialize type \(type) are not supported; use 0 (JSON) or 1 (RocketMQ)"
    case .malformedHeader(let reason): "the header cannot be read: \(reason)"
    case .missingField(let name): "the field '\(name)' is missing"
    case .malformedField(let name, let mustBe): "the field '\(name)' must be \(mustBe)"
    case .malformedBody(let reason): "the body cannot be read: \(reason)"
    case .unencodable(let reason): "the answer cannot be written: \(reason)"
    }
  }
}
