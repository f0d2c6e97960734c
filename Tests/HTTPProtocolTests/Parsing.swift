// Runs the parser over bytes that come in pieces, and notes all it gives.

import HTTPProtocol
import Primitives

/// One request as values.
struct Parsed: Equatable {
  var method: HTTPMethod
  var path: String
  var query: String?
  var host: String?
  var keepsAlive: Bool
  var body: [UInt8]

  init(_ request: HTTPRequest) {
    method = request.method
    path = String(decoding: request.path, as: UTF8.self)
    query = request.query.map { String(decoding: $0, as: UTF8.self) }
    host = request.host.map { String(decoding: $0, as: UTF8.self) }
    keepsAlive = request.keepsAlive
    body = Array(request.body)
  }

  init(_ method: HTTPMethod, _ path: String, query: String?, host: String?, keepsAlive: Bool, body: [UInt8]) {
    (self.method, self.path, self.query, self.host) = (method, path, query, host)
    (self.keepsAlive, self.body) = (keepsAlive, body)
  }
}

/// What came out of a connection.
struct Outcome: Equatable {
  var requests: [Parsed] = []
  var error: HTTPError?

  static let bodyBytesMax = 64
  static let headBytesMax = 512

  /// Gives the parser the bytes in pieces of the lengths given, and then the rest; stops as a server does, at an error and
  /// behind a request that does not keep the connection.
  static func of(_ bytes: [UInt8], pieces: [Int] = []) -> Outcome {
    var outcome = Outcome()
    var parser = HTTPRequestParser(bodyBytesMax: bodyBytesMax, headBytesMax: headBytesMax)
    var input = ByteBuffer()
    var rest = bytes[...]
    for length in pieces + [bytes.count] {
      Array(rest.prefix(length)).withUnsafeBytes { input.append($0) }
      rest = rest.dropFirst(length)
      guard outcome.take(&parser, &input) else { return outcome }
    }
    return outcome
  }

  /// Whether the connection goes on.
  private mutating func take(_ parser: inout HTTPRequestParser, _ input: inout ByteBuffer) -> Bool {
    while true {
      do {
        switch try parser.advance(&input) {
        case .needsMoreBytes: return true
        case .expectsContinue: continue
        case .request:
          let request = Parsed(parser.request)
          requests.append(request)
          if !request.keepsAlive { return false }
        }
      } catch {
        self.error = error
        return false
      }
    }
  }
}
