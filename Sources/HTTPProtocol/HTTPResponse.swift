// Responses written into a buffer.
//
// Holds: a response says how long its body is and whether the connection stays; a field's name and value are known at compile
// time, so nothing from outside can put a line break into a head.
// Leaves to others: which response it is, when the connection is closed.

import Primitives

/// How a response is written.
public struct HTTPResponse: Sendable {
  /// The status.
  public var status: HTTPStatus
  /// The type of the body.
  public var contentType: StaticString
  /// Whether another request may follow; otherwise the connection is to be closed behind the response.
  public var keepsAlive: Bool
  /// Whether it answers HEAD: everything but the body is sent.
  public var isForHead: Bool
  /// Further fields. Their values come from us, never from a client, and have no line ends.
  public var fields: KeyValuePairs<StaticString, String>

  /// Describes a response.
  public init(
    _ status: HTTPStatus, contentType: StaticString = "text/plain; charset=utf-8", keepsAlive: Bool,
    isForHead: Bool = false, fields: KeyValuePairs<StaticString, String> = [:]
  ) {
    self.status = status
    self.contentType = contentType
    self.keepsAlive = keepsAlive
    self.isForHead = isForHead
    self.fields = fields
  }
}

extension ByteBuffer {
  /// Appends a response with its body.
  ///
  /// - Parameter nowMs: the wall clock, Unix ms, for the `Date` field; nil where there is no clock, and no such field.
  public mutating func appendHTTP(_ response: HTTPResponse, body: UnsafeRawBufferPointer, nowMs: Int64?) {
    append("HTTP/1.1 ")
    append(text: String(response.status.rawValue))
    append(" ")
    append(response.status.phrase)
    if let nowMs {
      append("\r\nDate: ")
      appendHTTPDate(nowMs)
    }
    append("\r\nContent-Type: ")
    append(response.contentType)
    append("\r\nContent-Length: ")
    append(text: String(body.count))
    // No browser may take the body for something else, or keep it.
    append("\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\nConnection: ")
    if response.keepsAlive { append("keep-alive\r\n") } else { append("close\r\n") }
    for (name, value) in response.fields {
      append(name)
      append(": ")
      append(text: value)
      append("\r\n")
    }
    append("\r\n")
    if !response.isForHead { append(body) }
  }

  /// Appends the response to a request that is none; the connection is to be closed behind it.
  public mutating func appendHTTP(_ error: HTTPError, nowMs: Int64) {
    (error.description + "\n").withBytes {
      appendHTTP(HTTPResponse(error.status, keepsAlive: false), body: $0, nowMs: nowMs)
    }
  }

  /// Appends the answer to `Expect: 100-continue`: the client may send its body.
  public mutating func appendHTTPContinue() { append("HTTP/1.1 100 Continue\r\n\r\n") }

  /// Appends a time as HTTP writes it: `Tue, 15 Nov 1994 08:12:31 GMT`.
  ///
  /// - Parameter unixMs: the years 1970 to 9999; a time outside is written as the nearest one inside.
  /// - Source: RFC 9110 section 5.6.7.
  public mutating func appendHTTPDate(_ unixMs: Int64) {
    let seconds = min(max(unixMs, 0), 253_402_300_799_999) / 1000
    let days = seconds / 86_400
    let date = CivilDate(daysFromEpoch: Int(days))
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    // Day 0 was a Thursday.
    let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"]
    append(text: "\(weekdays[Int(days % 7)]), \(Self.padded(date.day, 2)) \(months[date.month - 1]) ")
    append(text: "\(Self.padded(date.year, 4)) ")
    append(
      text:
        "\(Self.padded(seconds / 3_600 % 24, 2)):\(Self.padded(seconds / 60 % 60, 2)):\(Self.padded(seconds % 60, 2)) GMT"
    )
  }

  private static func padded(_ number: some BinaryInteger, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: width - digits.count) + digits
  }
}
