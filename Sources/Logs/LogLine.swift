// A line of the log as bytes.
//
//     2026-11-24T09:30:00.125Z warning accept_failed: no descriptor for a new connection errno=24 suppressed=3
//     {"time":"2026-11-24T09:30:00.125Z","level":"warning","event":"accept_failed","message":"…","errno":24,"suppressed":3}
//
// Holds: whatever stands in text from outside, a line has no line break but the one at its end, and nothing in it can move
// the cursor of a terminal or turn the direction of writing.

import LineProtocol
import Primitives

extension ByteBuffer {
  mutating func appendLogText(
    _ now: Int64, _ level: LogLevel, _ event: String, _ message: String,
    _ values: KeyValuePairs<StaticString, LogValue>, _ suppressed: Int
  ) {
    appendRFC3339(now)
    append(text: " \(level.rawValue) \(event): ")
    appendVisible(message, isJSON: false)
    for (name, value) in values {
      append(text: " \(name)=")
      switch value {
      case .number(let number): appendInteger(number)
      case .text(let text): appendWord(text)
      }
    }
    if suppressed > 0 { append(text: " suppressed=\(suppressed)") }
    append("\n")
  }

  mutating func appendLogJSON(
    _ now: Int64, _ level: LogLevel, _ event: String, _ message: String,
    _ values: KeyValuePairs<StaticString, LogValue>, _ suppressed: Int
  ) {
    append("{\"time\":\"")
    appendRFC3339(now)
    append(text: "\",\"level\":\"\(level.rawValue)\",\"event\":\"\(event)\",\"message\":\"")
    appendVisible(message, isJSON: true)
    append("\"")
    for (name, value) in values {
      append(text: ",\"\(name)\":")
      switch value {
      case .number(let number): appendInteger(number)
      case .text(let text):
        append("\"")
        appendVisible(text, isJSON: true)
        append("\"")
      }
    }
    if suppressed > 0 { append(text: ",\"suppressed\":\(suppressed)") }
    append("}\n")
  }

  /// A value in a line for people: in quotes unless it is a plain word.
  private mutating func appendWord(_ text: String) {
    let isPlain =
      !text.isEmpty && text.unicodeScalars.allSatisfy { $0 > " " && $0 != "\"" && $0 != "=" && $0 != "\\" }
    if isPlain { return appendVisible(text, isJSON: false) }
    append("\"")
    appendVisible(text, isJSON: true)
    append("\"")
  }

  /// Text with what cannot be seen as an escape of JSON; with `isJSON` also quotes and backslashes.
  private mutating func appendVisible(_ text: String, isJSON: Bool) {
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\n": append("\\n")
      case "\r": append("\\r")
      case "\t": append("\\t")
      case "\"" where isJSON: append("\\\"")
      case "\\" where isJSON: append("\\\\")
      case _ where Self.isInvisible(scalar):
        let digits = String(scalar.value, radix: 16)
        append(text: "\\u" + String(repeating: "0", count: 4 - digits.count) + digits)
      default: append(text: String(scalar))
      }
    }
  }

  // Controls (C0, DEL, C1), line and paragraph separators, and what turns the direction of writing; none is beyond U+FFFF.
  private static func isInvisible(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0..<0x20, 0x7F..<0xA0, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069: true
    default: false
    }
  }
}
