// The status codes that are used, with their phrases.
//
// Source: RFC 9110 section 15; 431 from RFC 6585.

/// What a response says in a number.
public enum HTTPStatus: Int, CaseIterable, Sendable {
  /// Done.
  case ok = 200
  /// The request breaks the rules of HTTP, or those of the resource.
  case badRequest = 400
  /// The client must say first who it is.
  case unauthorized = 401
  /// The client has no right to this.
  case forbidden = 403
  /// There is no such resource.
  case notFound = 404
  /// The resource does not take this method.
  case methodNotAllowed = 405
  /// The request took too long to arrive.
  case requestTimeout = 408
  /// The state of the thing does not allow it.
  case conflict = 409
  /// The body is larger than is taken.
  case contentTooLarge = 413
  /// The target is longer than is taken.
  case targetTooLong = 414
  /// The body is of a type that the resource does not take.
  case unsupportedMediaType = 415
  /// The server does not do what the client's `Expect` asks for.
  case expectationFailed = 417
  /// The request is for another server.
  case misdirectedRequest = 421
  /// A bound is reached; the same request may succeed later.
  case tooManyRequests = 429
  /// The head is larger than is taken.
  case headTooLarge = 431
  /// The server is broken.
  case internalServerError = 500
  /// The server does not know the method or the coding.
  case notImplemented = 501
  /// Not now.
  case serviceUnavailable = 503
  /// Another version of HTTP.
  case versionNotSupported = 505
  /// No space.
  case insufficientStorage = 507

  /// The phrase behind the number.
  public var phrase: StaticString {
    switch self {
    case .ok: "OK"
    case .badRequest: "Bad Request"
    case .unauthorized: "Unauthorized"
    case .forbidden: "Forbidden"
    case .notFound: "Not Found"
    case .methodNotAllowed: "Method Not Allowed"
    case .requestTimeout: "Request Timeout"
    case .conflict: "Conflict"
    case .contentTooLarge: "Content Too Large"
    case .targetTooLong: "URI Too Long"
    case .unsupportedMediaType: "Unsupported Media Type"
    case .expectationFailed: "Expectation Failed"
    case .misdirectedRequest: "Misdirected Request"
    case .tooManyRequests: "Too Many Requests"
    case .headTooLarge: "Request Header Fields Too Large"
    case .internalServerError: "Internal Server Error"
    case .notImplemented: "Not Implemented"
    case .serviceUnavailable: "Service Unavailable"
    case .versionNotSupported: "HTTP Version Not Supported"
    case .insufficientStorage: "Insufficient Storage"
    }
  }
}
