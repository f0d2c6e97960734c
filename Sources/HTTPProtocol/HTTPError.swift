// Why a request is refused before anybody looks at what it asks for.
//
// Holds: after any of these nobody knows where the next request begins, or should not care: the connection is closed behind
// the response.

/// What is wrong with a request as HTTP.
public enum HTTPError: Error, Equatable, Sendable, CaseIterable, CustomStringConvertible {
  /// A line ends with a line feed alone.
  case bareLineFeed
  /// A carriage return without a line feed behind it.
  case bareCarriageReturn
  /// A control character in the head.
  case controlCharacter
  /// The first line is not `METHOD target HTTP/1.x`.
  case badRequestLine
  /// The target is neither a path nor `*`.
  case badTarget
  /// A version other than 1.0 and 1.1.
  case versionNotSupported
  /// The first line alone is longer than a head may be.
  case targetTooLong
  /// The head, or what stands behind a chunked body, is longer than it may be.
  case headTooLarge
  /// More fields than there may be.
  case tooManyFields
  /// A field that goes on in the next line.
  case foldedField
  /// A field without a colon, with white space in front of it, or with a name that is no token.
  case badField
  /// HTTP/1.1 without `Host`.
  case missingHost
  /// `Host` twice.
  case repeatedHost
  /// A `Host` that is no host with an optional port.
  case badHost
  /// A `Content-Length` that is no number of bytes.
  case badContentLength
  /// `Content-Length` twice, or a list of lengths.
  case repeatedContentLength
  /// Both `Content-Length` and `Transfer-Encoding`.
  case lengthAndCoding
  /// `Transfer-Encoding` twice, in HTTP/1.0, or not ending with `chunked`.
  case badTransferCoding
  /// A coding beside `chunked`.
  case unknownTransferCoding
  /// A chunk whose size or end is malformed.
  case badChunk
  /// The body is larger than it may be.
  case bodyTooLarge
  /// An `Expect` other than `100-continue`.
  case unknownExpectation
  /// The request is meant for a server of another name.
  case foreignHost
  /// A page of another origin sent the request.
  case foreignOrigin

  /// The status of the response.
  public var status: HTTPStatus {
    switch self {
    case .versionNotSupported: .versionNotSupported
    case .targetTooLong: .targetTooLong
    case .headTooLarge, .tooManyFields: .headTooLarge
    case .unknownTransferCoding: .notImplemented
    case .bodyTooLarge: .contentTooLarge
    case .unknownExpectation: .expectationFailed
    case .foreignHost: .misdirectedRequest
    case .foreignOrigin: .forbidden
    case .bareLineFeed, .bareCarriageReturn, .controlCharacter, .badRequestLine, .badTarget, .foldedField, .badField,
      .missingHost, .repeatedHost, .badHost, .badContentLength, .repeatedContentLength, .lengthAndCoding,
      .badTransferCoding, .badChunk:
      .badRequest
    }
  }

  /// What is wrong, for people.
  public var description: String {
    switch self {
    case .bareLineFeed: "a line must end with a carriage return and a line feed, not with a line feed alone"
    case .bareCarriageReturn: "a carriage return must be followed by a line feed"
    case .controlCharacter: "there is a control character in the head"
    case .badRequestLine: "the first line must be METHOD, target and HTTP/1.1, with one blank between them"
    case .badTarget: "the target must be a path that begins with '/', or '*' for OPTIONS"
    case .versionNotSupported: "only HTTP/1.1 and HTTP/1.0 are spoken here"
    case .targetTooLong: "the target is too long"
    case .headTooLarge: "the header fields are too long"
    case .tooManyFields: "there are too many header fields"
    case .foldedField: "a header field must stand on one line"
    case .badField: "a header field must be a name, a colon directly behind it, and a value"
    case .missingHost: "the Host field is missing"
    case .repeatedHost: "the Host field is there twice"
    case .badHost: "the Host field must be a host with an optional port"
    case .badContentLength: "Content-Length must be a number of bytes"
    case .repeatedContentLength: "Content-Length is there twice"
    case .lengthAndCoding: "Content-Length and Transfer-Encoding exclude each other"
    case .badTransferCoding: "Transfer-Encoding must be 'chunked', once, and in HTTP/1.1"
    case .unknownTransferCoding: "of the transfer codings only 'chunked' is known here"
    case .badChunk: "a chunk must be a hexadecimal size, a line break, so many bytes and a line break"
    case .bodyTooLarge: "the body is too large"
    case .unknownExpectation: "of the expectations only '100-continue' is known here"
    case .foreignHost: "the Host field names another server than this one"
    case .foreignOrigin: "pages of other origins may not send requests here"
    }
  }
}
