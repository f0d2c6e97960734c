// Requests that two readers could understand in two ways: each is refused, with its reason.

import HTTPProtocol
import Testing

@Suite("no request smuggling")
struct SmugglingTests {
  private static let start = "POST / HTTP/1.1\r\nHost: a\r\n"

  // What stands behind the first line and the host; `error` is what it is refused with.
  private static let fields: [(text: String, error: HTTPError)] = [
    ("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", .lengthAndCoding),
    ("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n\r\n", .lengthAndCoding),
    ("Content-Length: 5\r\nTransfer-Encoding: identity\r\n\r\n", .lengthAndCoding),
    ("Content-Length: 1\r\nContent-Length: 2\r\n\r\n", .repeatedContentLength),
    ("Content-Length: 1\r\ncontent-length: 1\r\n\r\n", .repeatedContentLength),
    ("Content-Length: 1, 1\r\n\r\n", .repeatedContentLength), ("Content-Length: 1,2\r\n\r\n", .repeatedContentLength),
    ("Content-Length: +1\r\n\r\n", .badContentLength), ("Content-Length: -1\r\n\r\n", .badContentLength),
    ("Content-Length: 0x1\r\n\r\n", .badContentLength), ("Content-Length: 1 2\r\n\r\n", .badContentLength),
    ("Content-Length: 1.0\r\n\r\n", .badContentLength), ("Content-Length: \r\n\r\n", .badContentLength),
    ("Content-Length:\u{660}\r\n\r\n", .badContentLength),
    ("Content-Length: 99999999999999999999999\r\n\r\n", .bodyTooLarge),
    ("Content-Length: 18446744073709551617\r\n\r\n", .bodyTooLarge),
    ("Content-Length : 1\r\n\r\n", .badField), ("Content-Length\t: 1\r\n\r\n", .badField),
    (" Content-Length: 1\r\n\r\n", .foldedField), ("\tTransfer-Encoding: chunked\r\n\r\n", .foldedField),
    ("X: y\r\n Content-Length: 1\r\n\r\n", .foldedField), ("X: y\r\n\tz\r\n\r\n", .foldedField),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", .badTransferCoding),
    ("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", .badTransferCoding),
    ("Transfer-Encoding: chunked, chunked\r\n\r\n", .badTransferCoding),
    ("Transfer-Encoding: chunked, identity\r\n\r\n", .badTransferCoding),
    ("Transfer-Encoding: identity\r\n\r\n", .badTransferCoding), ("Transfer-Encoding: \r\n\r\n", .badTransferCoding),
    ("Transfer-Encoding: xchunked\r\n\r\n", .badTransferCoding),
    ("Transfer-Encoding: chunked;q=1\r\n\r\n", .badTransferCoding),
    ("Transfer-Encoding: \"chunked\"\r\n\r\n", .badTransferCoding),
    ("Transfer-Encoding: ,chunked\r\n\r\n", .badTransferCoding),
    ("Transfer-Encoding: gzip, chunked\r\n\r\n", .unknownTransferCoding),
    ("Transfer-Encoding : chunked\r\n\r\n", .badField), ("Transfer-Encoding\u{B}: chunked\r\n\r\n", .controlCharacter),
    ("Transfer-Encoding:\u{B}chunked\r\n\r\n", .controlCharacter),
    ("Transfer-Encoding: chunked\0\r\n\r\n", .controlCharacter),
    ("X: y\nTransfer-Encoding: chunked\r\n\r\n", .bareLineFeed), ("X: y\r\n\n", .bareLineFeed), ("\n", .bareLineFeed),
    ("X: y\rTransfer-Encoding: chunked\r\n\r\n", .bareCarriageReturn), ("X: y\r\r\n\r\n", .bareCarriageReturn),
    ("X: y\u{7F}\r\n\r\n", .controlCharacter), ("X: y\0z\r\n\r\n", .controlCharacter),
    ("no colon\r\n\r\n", .badField), (": y\r\n\r\n", .badField), ("X y: z\r\n\r\n", .badField),
    ("X(: z\r\n\r\n", .badField),
    ("Tr\u{E4}nsfer-Encoding: chunked\r\n\r\n", .badField), ("Host: a\r\n\r\n", .repeatedHost),
    ("host: b\r\n\r\n", .repeatedHost),
    ("Expect: 200-ok\r\n\r\n", .unknownExpectation), ("Expect: 100-continue, x\r\n\r\n", .unknownExpectation),
  ]

  // What stands behind the head of a chunked request.
  private static let chunks: [(text: String, error: HTTPError)] = [
    ("\r\n", .badChunk), ("x\r\n", .badChunk), ("-1\r\n", .badChunk), ("+1\r\n", .badChunk), ("0x1\r\n", .badChunk),
    (" 1\r\na\r\n", .badChunk), ("1 \r\na\r\n", .badChunk), ("1\t;x\r\na\r\n", .badChunk), (";x\r\n", .badChunk),
    ("1\na\r\n", .badChunk), ("1\r\ra", .badChunk), ("1\rxa", .badChunk), ("1;\nx\r\na", .badChunk),
    ("1;\0\r\na", .badChunk),
    ("1\r\nab\r\n", .badChunk), ("1\r\na\n", .badChunk), ("1\r\na\rx", .badChunk), ("2\r\na\r\n0\r\n\r\n", .badChunk),
    ("41\r\n", .bodyTooLarge), ("ffffffffffffffff\r\n", .bodyTooLarge), ("10000000000000001\r\n", .bodyTooLarge),
    ("\(String(repeating: "0", count: 300))\r\n", .badChunk),
    ("1;\(String(repeating: "x", count: 300))\r\n", .badChunk),
    ("0\r\nX y: z\r\n\r\n", .badField), ("0\r\n X: z\r\n\r\n", .foldedField), ("0\r\nX: z\n", .bareLineFeed),
    ("0\r\nX\r\n\r\n", .badField), ("0\r\n\n", .bareLineFeed), ("0\r\nX: \0\r\n", .controlCharacter),
    ("0\n\r\n", .badChunk),
  ]

  private static let lines: [(text: String, error: HTTPError)] = [
    ("GET / HTTP/1.1\r\n\r\n", .missingHost), ("\r\n\r\n", .badRequestLine),
    (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", .badRequestLine),
    ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", .badRequestLine), ("GET /  HTTP/1.1\r\nHost: a\r\n\r\n", .badRequestLine),
    ("GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", .badRequestLine), ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", .badRequestLine),
    ("GET /\r\n\r\n", .badRequestLine), ("GET / http/1.1\r\nHost: a\r\n\r\n", .badRequestLine),
    ("GET / HTTP/1.11\r\nHost: a\r\n\r\n", .badRequestLine),
    ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", .versionNotSupported),
    ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", .versionNotSupported),
    ("GET / HTTP/0.9\r\nHost: a\r\n\r\n", .versionNotSupported),
    ("G@T / HTTP/1.1\r\nHost: a\r\n\r\n", .badRequestLine),
    ("GET /\u{E4} HTTP/1.1\r\nHost: a\r\n\r\n", .badRequestLine),
    ("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", .badTarget), ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", .badTarget),
    ("CONNECT b:1 HTTP/1.1\r\nHost: a\r\n\r\n", .badTarget), ("GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", .badTarget),
    ("GET x HTTP/1.1\r\nHost: a\r\n\r\n", .badTarget), ("GET / HTTP/1.1\r\nHost: \r\n\r\n", .badHost),
    ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", .badHost), ("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", .badHost),
    ("GET / HTTP/1.1\r\nHost: x@a\r\n\r\n", .badHost), ("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", .badHost),
    ("GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", .badHost), ("GET / HTTP/1.1\r\nHost: a:123456\r\n\r\n", .badHost),
    ("GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", .badHost), ("GET / HTTP/1.1\r\nHost: []\r\n\r\n", .badHost),
    ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", .badTransferCoding),
    ("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", .badRequestLine),
    ("GET / HTTP/1.1\nHost: a\n\n", .bareLineFeed), ("\u{16}\u{3}\u{1}", .controlCharacter),
  ]

  static let attempts: [(text: String, error: HTTPError)] =
    fields.map { (start + $0.text, $0.error) }
    + chunks.map { (start + "Transfer-Encoding: chunked\r\n\r\n" + $0.text, $0.error) } + lines

  @Test("every attempt is refused with its reason, whichever byte it is cut at", arguments: attempts.indices)
  func refused(_ index: Int) {
    let (text, error) = Self.attempts[index]
    let bytes = Array(text.utf8)
    let behind = bytes + Array("GET /admin HTTP/1.1\r\nHost: a\r\n\r\n".utf8)
    #expect(Outcome.of(bytes) == Outcome(error: error))
    #expect(Outcome.of(behind) == Outcome(error: error))
    for cut in 0...bytes.count { #expect(Outcome.of(bytes, pieces: [cut]) == Outcome(error: error), "cut at \(cut)") }
    #expect(DumbHTTP.outcome(bytes).requests.isEmpty && DumbHTTP.outcome(bytes).isRefused)
  }

  @Test("every error has a status of its kind, and words", arguments: HTTPError.allCases)
  func statuses(_ error: HTTPError) {
    #expect((400..<600).contains(error.status.rawValue) && !error.description.isEmpty)
  }
}
