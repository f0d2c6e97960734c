// Requests as they should be: what the parser gives, however they are cut.

import HTTPProtocol
import Primitives
import SeededRandom
import Testing

@Suite("HTTP requests")
struct HTTPRequestParserTests {
  static let good: [(text: String, requests: [Parsed])] = [
    (
      "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
      [Parsed(.get, "/metrics", query: nil, host: "a", keepsAlive: true, body: [])]
    ),
    (
      "POST /v1?x=1&y HTTP/1.1\r\nhOsT:\t[::1]:7612 \r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.0\r\n\r\nrest",
      [
        Parsed(.post, "/v1", query: "x=1&y", host: "[::1]:7612", keepsAlive: true, body: Array("abc".utf8)),
        Parsed(.get, "/", query: nil, host: nil, keepsAlive: false, body: []),
      ]
    ),
    (
      "POST /v1 HTTP/1.1\r\nHost: a:1\r\nTransfer-Encoding: Chunked\r\n\r\n2;x=\"y\"\r\nab\r\n0A\r\n0123456789\r\n0\r\nT: x\r\n\r\n"
        + "\r\nHEAD /healthz HTTP/1.1\r\nHost: a\r\nConnection: foo, CLOSE\r\n\r\n",
      [
        Parsed(.post, "/v1", query: nil, host: "a:1", keepsAlive: true, body: Array("ab0123456789".utf8)),
        Parsed(.head, "/healthz", query: nil, host: "a", keepsAlive: false, body: []),
      ]
    ),
    (
      "OPTIONS * HTTP/1.0\r\nConnection: Keep-Alive\r\nX:\r\n\r\nget /a?b?c HTTP/1.1\r\nHost: 127.0.0.1:\r\nContent-Length: 000\r\n\r\n",
      [
        Parsed(.options, "*", query: nil, host: nil, keepsAlive: true, body: []),
        Parsed(.other, "/a", query: "b?c", host: "127.0.0.1:", keepsAlive: true, body: []),
      ]
    ),
    (
      "POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nxPUT /\u{7E} HTTP/1.1\r\nHost: a\r\nB: \u{E4}\r\n\r\n",
      [
        Parsed(.post, "/", query: nil, host: "a", keepsAlive: true, body: Array("x".utf8)),
        Parsed(.put, "/~", query: nil, host: "a", keepsAlive: true, body: []),
      ]
    ),
  ]

  @Test("requests are found, whichever byte they are cut at", arguments: good.indices)
  func cuts(_ index: Int) {
    let bytes = Array(Self.good[index].text.utf8)
    let expected = Outcome(requests: Self.good[index].requests)
    #expect(Outcome.of(bytes) == expected)
    #expect(Outcome.of(bytes, pieces: bytes.map { _ in 1 }) == expected)
    for cut in 0...bytes.count { #expect(Outcome.of(bytes, pieces: [cut]) == expected, "cut at \(cut)") }
    let model = DumbHTTP.outcome(bytes)
    #expect(model.requests == expected.requests && !model.isRefused)
  }

  @Test("what is cut off gives no request and no error", arguments: good.indices)
  func cutOff(_ index: Int) {
    let bytes = Array(Self.good[index].text.utf8)
    for length in 0..<bytes.count {
      let outcome = Outcome.of(Array(bytes[..<length]))
      #expect(outcome.error == nil && Self.good[index].requests.starts(with: outcome.requests))
    }
  }

  @Test("fields are found by their names, and repeated ones are counted")
  func fields() throws {
    var parser = HTTPRequestParser(bodyBytesMax: 0)
    var input = ByteBuffer()
    var isInside = [parser.isInsideRequest]
    input.append("GET / HTTP/1.1\r\nHost: a\r\nX-A:  b c \t\r\nx-a: d\r\n")
    guard case .needsMoreBytes = try parser.advance(&input) else { throw HTTPError.badField }
    isInside.append(parser.isInsideRequest)
    input.append("\r\n")
    guard case .request = try parser.advance(&input) else { throw HTTPError.badField }
    isInside.append(parser.isInsideRequest)
    #expect(isInside == [false, true, false])
    let request = parser.request
    #expect(request.field("X-A").map { String(decoding: $0, as: UTF8.self) } == "b c")
    #expect(request.count(of: "x-A") == 2 && request.field("Origin") == nil)
    #expect(request.isVersion11)
  }

  @Test(
    "a client that waits for 100 Continue is told once, one that does not wait is not told", arguments: [true, false])
  func expectation(_ waits: Bool) throws {
    var parser = HTTPRequestParser(bodyBytesMax: 10)
    var input = ByteBuffer()
    input.append("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
    if !waits { input.append("x") }
    switch try parser.advance(&input) {
    case .expectsContinue: #expect(waits)
    case .needsMoreBytes: #expect(!waits)
    case .request: Issue.record("there is no body yet")
    }
    guard case .needsMoreBytes = try parser.advance(&input) else { throw HTTPError.badField }
    input.append(waits ? "xy" : "y")
    guard case .request = try parser.advance(&input) else { throw HTTPError.badField }
    let request = parser.request
    #expect(Array(request.body) == Array("xy".utf8))
  }

  @Test("an error stays")
  func errorStays() {
    var parser = HTTPRequestParser(bodyBytesMax: 10)
    var input = ByteBuffer()
    input.append("GET / HTTP/3.0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")
    for _ in 0..<3 {
      do {
        _ = try parser.advance(&input)
        Issue.record("the parser goes on behind an error")
      } catch {
        #expect(error == .versionNotSupported)
      }
    }
  }

  @Test("heads and bodies are taken up to their bounds, and not a byte beyond")
  func bounds() {
    let line = "GET / HTTP/1.1\r\nHost: a\r\n"
    let room = Outcome.headBytesMax - line.utf8.count - 2 - "X: \r\n".utf8.count
    func head(_ filler: Int) -> [UInt8] { Array("\(line)X: \(String(repeating: "x", count: filler))\r\n\r\n".utf8) }
    #expect(Outcome.of(head(room)).requests.count == 1)
    #expect(Outcome.of(head(room + 1)).error == .headTooLarge)
    #expect(
      Outcome.of(Array("GET /\(String(repeating: "x", count: Outcome.headBytesMax))".utf8)).error == .targetTooLong)
    let post = "POST / HTTP/1.1\r\nHost: a\r\n"
    func sized(_ size: Int) -> [UInt8] {
      Array("\(post)Content-Length: \(size)\r\n\r\n\(String(repeating: "x", count: size))".utf8)
    }
    #expect(Outcome.of(sized(Outcome.bodyBytesMax)).requests.first?.body.count == Outcome.bodyBytesMax)
    #expect(Outcome.of(sized(Outcome.bodyBytesMax + 1)).error == .bodyTooLarge)
    func chunked(_ sizes: [Int]) -> [UInt8] {
      let chunks = sizes.map { String($0, radix: 16) + "\r\n" + String(repeating: "x", count: $0) + "\r\n" }.joined()
      return Array("\(post)Transfer-Encoding: chunked\r\n\r\n\(chunks)0\r\n\r\n".utf8)
    }
    #expect(Outcome.of(chunked([Outcome.bodyBytesMax - 1, 1])).requests.first?.body.count == Outcome.bodyBytesMax)
    #expect(Outcome.of(chunked([Outcome.bodyBytesMax - 1, 2])).error == .bodyTooLarge)
    let trailer =
      "\(post)Transfer-Encoding: chunked\r\n\r\n0\r\nX: \(String(repeating: "x", count: Outcome.headBytesMax))"
    #expect(Outcome.of(Array(trailer.utf8)).error == .headTooLarge)
  }

  @Test("a head has so many fields and no more")
  func fieldsMax() throws {
    for (count, isGood) in [(100, true), (101, false)] {
      var parser = HTTPRequestParser(bodyBytesMax: 0)
      var input = ByteBuffer()
      input.append("GET / HTTP/1.1\r\nHost: a\r\n")
      for _ in 1..<count { input.append("X: y\r\n") }
      input.append("\r\n")
      do {
        _ = try parser.advance(&input)
        #expect(isGood)
      } catch {
        #expect(!isGood && error == HTTPError.tooManyFields)
      }
    }
  }
}
