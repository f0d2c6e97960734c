// A request as the server looks at it.

/// What a request wants to do.
public enum HTTPMethod: Sendable {
  /// The methods that anything here may want; every other token is `other`.
  case get, head, post, put, delete, options, other

  init(_ name: UnsafeRawBufferPointer) {
    // Methods are case-sensitive.
    switch String(decoding: name, as: UTF8.self) {
    case "GET": self = .get
    case "HEAD": self = .head
    case "POST": self = .post
    case "PUT": self = .put
    case "DELETE": self = .delete
    case "OPTIONS": self = .options
    default: self = .other
    }
  }

  /// As it stands in a request; a word that nobody serves for every other token.
  public var name: StaticString {
    switch self {
    case .get: "GET"
    case .head: "HEAD"
    case .post: "POST"
    case .put: "PUT"
    case .delete: "DELETE"
    case .options: "OPTIONS"
    case .other: "OTHER"
    }
  }
}

/// One request; good until the parser that gave it goes on.
public struct HTTPRequest {
  let head: HTTPHead
  let text: UnsafeRawBufferPointer
  /// The body, without the chunks' frames.
  public let body: UnsafeRawBufferPointer

  /// The method.
  public var method: HTTPMethod { head.method }

  /// The target up to the question mark, as it was sent: nothing is decoded. Begins with `/`, or is `*`.
  public var path: UnsafeRawBufferPointer { text.part(head.path) }

  /// What stands behind the question mark; nil when there is none.
  public var query: UnsafeRawBufferPointer? { head.query.map { text.part($0) } }

  /// The `Host` field; nil only in HTTP/1.0.
  public var host: UnsafeRawBufferPointer? { head.host.map { text.part($0) } }

  /// Whether the client speaks HTTP/1.1 rather than 1.0.
  public var isVersion11: Bool { head.isVersion11 }

  /// Whether another request may follow on the connection.
  public var keepsAlive: Bool { head.keepsAlive }

  /// The value of the first field of this name, without the blanks around it. O(fields).
  public func field(_ name: StaticString) -> UnsafeRawBufferPointer? {
    for field in head.fields where text.part(field.name).isWord(name) { return text.part(field.value) }
    return nil
  }

  /// How many fields there are of this name. O(fields).
  public func count(of name: StaticString) -> Int { head.fields.count { text.part($0.name).isWord(name) } }
}
