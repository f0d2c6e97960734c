// Times and lengths of time as people write them.

import LineProtocol
import Primitives

/// Conversions between text and milliseconds. What cannot be read, or overflows, is nil.
enum TimeText {
  private static let unitsMs: [(name: String, ms: Int64)] = [
    ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1),
  ]

  /// `500ms`, `2s`, `30m`, `10h`, `1d`, `1h30m`, or a bare `0`.
  static func durationMs(_ text: String) -> Int64? {
    if text == "0" { return 0 }
    var rest = text[...]
    var sum: Int64 = 0
    guard !rest.isEmpty else { return nil }
    while !rest.isEmpty {
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      rest = rest.dropFirst(digits.count)
      let letters = rest.prefix { $0.isLetter }
      rest = rest.dropFirst(letters.count)
      guard let count = Int64(digits), let unit = unitsMs.first(where: { $0.name == letters }) else { return nil }
      let (part, isPartTooLarge) = count.multipliedReportingOverflow(by: unit.ms)
      let (next, isSumTooLarge) = sum.addingReportingOverflow(part)
      guard !isPartTooLarge, !isSumTooLarge else { return nil }
      sum = next
    }
    return sum
  }

  /// The two largest units of a length of time: `1h 30m`, `2s 500ms`.
  static func duration(ms: Int64) -> String {
    if ms < 0 { return "-" + duration(ms: ms == .min ? .max : -ms) }
    var rest = ms
    var parts: [String] = []
    for unit in unitsMs where rest >= unit.ms && parts.count < 2 {
      parts.append("\(rest / unit.ms)\(unit.name)")
      rest %= unit.ms
    }
    return parts.isEmpty ? "0ms" : parts.joined(separator: " ")
  }

  /// Unix milliseconds, or RFC 3339 with an offset; parts of a millisecond are rounded up.
  static func timeMs(_ text: String) -> Int64? { Int64(text) ?? text.withBytes { parseRFC3339($0) } }

  /// RFC 3339 in UTC with milliseconds.
  static func time(ms: Int64) -> String {
    var text = ByteBuffer()
    text.appendRFC3339(ms)
    return String(decoding: text.readable, as: UTF8.self)
  }
}
