// Finds the end of a response of one of our own sessions, which always says how long its body is.

import Primitives

/// Follows one response.
final class HTTPResponseReader {
  private let isForHead: Bool
  /// The head and what has come of the body.
  private(set) var bytes: [UInt8] = []
  private var bodyStart: Int?
  private var end: Int?
  private var count = 0

  /// - Parameter isForHead: whether it answers HEAD: then there is no body.
  init(isForHead: Bool) { self.isForHead = isForHead }

  /// Takes bytes; whether the response is complete.
  func take(_ more: UnsafeRawBufferPointer, keepsBody: Bool = false) -> Bool {
    count += more.count
    if end == nil || keepsBody { bytes += more }
    if end == nil, let found = bytes.firstRange(of: Array("\r\n\r\n".utf8)) {
      bodyStart = found.upperBound
      end = found.upperBound + (isForHead ? 0 : Self.bodyBytes(bytes[..<found.lowerBound]))
    }
    return end.map { count >= $0 } ?? false
  }

  /// Whether the status says that all is well.
  var isOK: Bool { bytes.starts(with: Array("HTTP/1.1 200".utf8)) }
  /// The body, of a complete response whose body was kept.
  var body: ArraySlice<UInt8> { bodyStart.map { bytes[$0...] } ?? [] }

  private static func bodyBytes(_ head: ArraySlice<UInt8>) -> Int {
    let name = "content-length:"
    for line in head.split(separator: UInt8(ascii: "\n")) where line.count > name.utf8.count {
      guard zip(line, name.utf8).allSatisfy({ $0 | 0x20 == $1 | 0x20 }) else { continue }
      let digits = line.dropFirst(name.utf8.count).filter { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
      return Int(String(decoding: digits, as: UTF8.self)) ?? 0
    }
    return 0
  }
}
