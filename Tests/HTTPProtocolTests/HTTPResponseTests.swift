// Responses and metrics, byte for byte.

import HTTPProtocol
import Primitives
import Testing

@Suite("HTTP responses")
struct HTTPResponseTests {
  private func text(_ body: (inout ByteBuffer) -> Void) -> String {
    var out = ByteBuffer()
    body(&out)
    return String(decoding: out.readable, as: UTF8.self)
  }

  private static let fixed = "X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n"

  @Test("a response has its length and says whether the connection stays", arguments: [true, false])
  func response(_ keepsAlive: Bool) {
    let written = text { out in
      "{}".withBytes {
        out.appendHTTP(
          HTTPResponse(.ok, contentType: "application/json", keepsAlive: keepsAlive, fields: ["Retry-After": "1"]),
          body: $0, nowMs: 784_887_151_000)
      }
    }
    #expect(
      written
        == "HTTP/1.1 200 OK\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
        + Self.fixed + "Connection: \(keepsAlive ? "keep-alive" : "close")\r\nRetry-After: 1\r\n\r\n{}")
  }

  @Test("the response to HEAD has the length of the body and not the body")
  func head() {
    let written = text { out in
      "abc".withBytes { out.appendHTTP(HTTPResponse(.ok, keepsAlive: true, isForHead: true), body: $0, nowMs: 0) }
    }
    #expect(written.contains("\r\nContent-Length: 3\r\n") && written.hasSuffix("\r\n\r\n"))
  }

  @Test("a refusal says why and closes")
  func refusal() {
    let written = text { $0.appendHTTP(.lengthAndCoding, nowMs: 0) }
    #expect(written.hasPrefix("HTTP/1.1 400 Bad Request\r\n") && written.contains("\r\nConnection: close\r\n"))
    #expect(written.hasSuffix("\r\n\r\nContent-Length and Transfer-Encoding exclude each other\n"))
    #expect(text { $0.appendHTTPContinue() } == "HTTP/1.1 100 Continue\r\n\r\n")
  }

  @Test(
    "dates",
    arguments: [
      (0, "Thu, 01 Jan 1970 00:00:00 GMT"), (951_782_400_999, "Tue, 29 Feb 2000 00:00:00 GMT"),
      (1_709_251_199_000, "Thu, 29 Feb 2024 23:59:59 GMT"), (1_735_689_599_000, "Tue, 31 Dec 2024 23:59:59 GMT"),
      (4_107_542_400_000, "Mon, 01 Mar 2100 00:00:00 GMT"), (-1, "Thu, 01 Jan 1970 00:00:00 GMT"),
      (.max, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] as [(Int64, String)])
  func dates(_ ms: Int64, _ date: String) {
    #expect(text { $0.appendHTTPDate(ms) } == date)
  }
}

@Suite("Prometheus text")
struct PrometheusTextTests {
  @Test("families, labels and values")
  func page() {
    var page = PrometheusText()
    page.counter("escapement_released_total", "Messages released.", 5)
    page.begin("escapement_depth", .gauge, "What waits,\nby \"queue\" and \\.")
    page.sample(-1, ["queue": "a\"b\\c\nd", "host": "ä"])
    page.sample(0.5, ["queue": ""])
    page.sample(.infinity)
    page.sample(-Double.infinity)
    page.sample(Double.nan)
    page.gauge("up", "Up.", 1)
    #expect(
      String(decoding: page.readable, as: UTF8.self) == #"""
        # HELP escapement_released_total Messages released.
        # TYPE escapement_released_total counter
        escapement_released_total 5
        # HELP escapement_depth What waits,\nby "queue" and \\.
        # TYPE escapement_depth gauge
        escapement_depth{queue="a\"b\\c\nd",host="ä"} -1
        escapement_depth{queue=""} 0.5
        escapement_depth +Inf
        escapement_depth -Inf
        escapement_depth NaN
        # HELP up Up.
        # TYPE up gauge
        up 1

        """#)
  }

  @Test("a histogram counts upwards and ends with all")
  func histogram() {
    var page = PrometheusText()
    page.begin("lateness_seconds", .histogram, "Lateness.")
    page.histogram(bounds: [0.001, 0.5, 10], counts: [3, 0, 2, 1], sum: 12.25, ["kind": "x"])
    page.histogram(bounds: [], counts: [2], sum: 1)
    #expect(
      String(decoding: page.readable, as: UTF8.self) == """
        # HELP lateness_seconds Lateness.
        # TYPE lateness_seconds histogram
        lateness_seconds_bucket{kind="x",le="0.001"} 3
        lateness_seconds_bucket{kind="x",le="0.5"} 3
        lateness_seconds_bucket{kind="x",le="10.0"} 5
        lateness_seconds_bucket{kind="x",le="+Inf"} 6
        lateness_seconds_sum{kind="x"} 12.25
        lateness_seconds_count{kind="x"} 6
        lateness_seconds_bucket{le="+Inf"} 2
        lateness_seconds_sum 1.0
        lateness_seconds_count 2

        """)
  }
}
