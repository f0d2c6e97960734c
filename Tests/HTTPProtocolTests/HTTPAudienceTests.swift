// Which hosts and origins are let in.

import HTTPProtocol
import Primitives
import Testing

@Suite("HTTP audience")
struct HTTPAudienceTests {
  private func check(_ fields: String, names: [String] = []) throws -> HTTPError? {
    var parser = HTTPRequestParser(bodyBytesMax: 0)
    var input = ByteBuffer()
    let version = fields.contains("Host") ? "1.1" : "1.0"
    input.append(text: "GET / HTTP/\(version)\r\n\(fields)\r\n")
    guard case .request = try parser.advance(&input) else { throw HTTPError.badField }
    do {
      try HTTPAudience(names: names).check(parser.request)
      return nil
    } catch {
      return error
    }
  }

  @Test(
    "a request is let in by its host and its origin",
    arguments: [
      ("Host: 127.0.0.1:7612\r\n", nil), ("Host: localhost\r\n", nil), ("Host: LOCALHOST:1\r\n", nil),
      ("Host: [::1]:7612\r\n", nil), ("Host: 10.1.2.3\r\n", nil), ("Host: queue.example\r\n", nil), ("", nil),
      ("Host: evil.example\r\n", .foreignHost), ("Host: localhost.evil.example\r\n", .foreignHost),
      ("Host: 127.0.0.1.evil.example\r\n", .foreignHost), ("Host: 127.0.0.256\r\n", .foreignHost),
      ("Host: 127.0.0\r\n", .foreignHost), ("Host: 1.2.3.4.5\r\n", .foreignHost),
      ("Host: localhost:7612\r\nOrigin: http://localhost:7612\r\n", nil),
      ("Host: queue.example\r\nOrigin: https://Queue.Example\r\n", nil),
      ("Host: localhost:7612\r\nOrigin: http://localhost\r\n", .foreignOrigin),
      ("Host: localhost:7612\r\nOrigin: http://evil.example\r\n", .foreignOrigin),
      ("Host: localhost\r\nOrigin: null\r\n", .foreignOrigin), ("Host: localhost\r\nOrigin:\r\n", .foreignOrigin),
      ("Host: localhost\r\nOrigin: http://localhost.evil.example\r\n", .foreignOrigin),
      ("Host: localhost\r\nOrigin: ftp://localhost\r\n", .foreignOrigin),
      ("Host: localhost\r\nOrigin: http://localhost\r\nOrigin: http://localhost\r\n", .foreignOrigin),
      ("Origin: http://localhost\r\n", .foreignOrigin),
    ] as [(String, HTTPError?)])
  func table(_ fields: String, _ error: HTTPError?) throws {
    #expect(try check(fields, names: ["queue.example"]) == error)
  }
}
