// The log: what a line looks like in both forms, what can never be in it, and how many of them there are.

import LineProtocol
import Logs
import Primitives
import SeededRandom
import Synchronization
import Testing

/// A log over a clock that the test sets.
final class Notebook: Sendable {
  let nowMs = Mutex<Int64>(1_700_000_000_123)
  private let written = Mutex<[String]>([])

  func log(_ format: LogFormat, _ level: LogLevel = .debug) -> Log {
    Log(format: format, level: level, nowMs: { self.nowMs.withLock { $0 } }) { line in
      self.written.withLock { $0.append(String(decoding: line, as: UTF8.self)) }
    }
  }

  func pass(ms: Int64) { nowMs.withLock { $0 += ms } }

  var lines: [String] { written.withLock { $0 } }
}

@Suite("log")
struct LogTests {
  @Test(
    "a line in both forms",
    arguments: [
      (
        LogFormat.text,
        "2023-11-14T22:13:20.123Z warning accept_failed: no \"descriptor\" errno=24 peer=10.0.0.1:5 name=\"a b\" empty=\"\"\n"
      ),
      (
        .json,
        #"{"time":"2023-11-14T22:13:20.123Z","level":"warning","event":"accept_failed","message":"no \"descriptor\"","#
          + #""errno":24,"peer":"10.0.0.1:5","name":"a b","empty":""}"# + "\n"
      ),
    ])
  func line(_ format: LogFormat, _ expected: String) {
    let notebook = Notebook()
    notebook.log(format).write(
      .warning, "accept_failed", "no \"descriptor\"",
      ["errno": 24, "peer": "10.0.0.1:5", "name": .text("a b"), "empty": ""])
    #expect(notebook.lines == [expected])
  }

  @Test("what is less urgent than the level is left out", arguments: LogLevel.allCases)
  func level(_ level: LogLevel) {
    let notebook = Notebook()
    let log = notebook.log(.text, level)
    for urgency in LogLevel.allCases { log.write(urgency, "e", "m") }
    #expect(notebook.lines.count == LogLevel.allCases.filter { $0 >= level }.count)
  }

  @Test("a line is one line, and JSON, whatever text is put into it", arguments: 0..<16 as Range<UInt64>)
  func hostile(_ seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    let pieces = [
      "\n", "\r\n", "\0", "\u{1B}[2J", "\u{7F}", "\u{9B}", "\u{2028}", "\u{202E}", "\"", "\\", "\\n", "ä", "🐦", "=",
      " ",
      "\u{FEFF}", "{", "\",\"level\":\"",
    ]
    for _ in 0..<200 {
      let text = (0..<random.next(below: 6)).map { _ in pieces[Int(random.next(below: UInt64(pieces.count)))] }.joined()
      let notebook = Notebook()
      for format in LogFormat.allCases { notebook.log(format).write(.info, "e", text, ["value": .text(text)]) }
      for line in notebook.lines {
        #expect(line.hasSuffix("\n"))
        let isBad = line.dropLast().unicodeScalars.contains { scalar in
          scalar.properties.generalCategory == .control || (0x2028...0x202E).contains(scalar.value)
        }
        #expect(!isBad, "\(line)")
      }
      let json = try notebook.lines[1].withBytes { (bytes) throws(JSONDocument.Fault) in try JSONDocument(bytes) }
      let values = json.withMembers { members in
        var values: [String: String] = [:]
        while let (key, value) = members.next() {
          values[String(decoding: key, as: UTF8.self)] = value.string().map { String(decoding: $0, as: UTF8.self) }
        }
        return values
      }
      #expect(values["message"] == text && values["value"] == text && values["level"] == "info")
    }
  }

  @Test("of one event a window has so many lines, and the next line says how many were left out")
  func limited() {
    let notebook = Notebook()
    let log = notebook.log(.text)
    for _ in 0..<Log.linesPerWindow + 7 { log.write(.info, "storm", "m") }
    log.write(.info, "other", "m")
    #expect(notebook.lines.count == Log.linesPerWindow + 1)
    notebook.pass(ms: Log.windowMs)
    log.write(.info, "storm", "m")
    #expect(notebook.lines.last?.hasSuffix(" storm: m suppressed=7\n") == true)
    for _ in 0..<Log.linesPerWindow - 1 { log.write(.info, "storm", "m") }
    #expect(notebook.lines.count == 2 * Log.linesPerWindow + 1)
  }

  @Test("what was left out is said when something else comes, or at the end")
  func told() {
    let notebook = Notebook()
    let log = notebook.log(.text)
    for _ in 0..<Log.linesPerWindow + 2 { log.write(.info, "storm", "m") }
    notebook.pass(ms: Log.windowMs)
    log.write(.info, "other", "m")
    #expect(notebook.lines.dropLast().last?.contains(" warning storm: ") == true)
    #expect(notebook.lines.dropLast().last?.hasSuffix(" suppressed=2\n") == true)
    for _ in 0..<Log.linesPerWindow + 3 { log.write(.info, "storm", "m") }
    log.finish()
    #expect(notebook.lines.last?.hasSuffix(" suppressed=3\n") == true)
    let count = notebook.lines.count
    log.finish()
    #expect(notebook.lines.count == count)
  }

  @Test("a clock that is set back does not silence an event")
  func setBack() {
    let notebook = Notebook()
    let log = notebook.log(.text)
    for _ in 0..<Log.linesPerWindow + 1 { log.write(.info, "storm", "m") }
    notebook.pass(ms: -3_600_000)
    log.write(.info, "storm", "m")
    #expect(notebook.lines.last?.hasSuffix("suppressed=1\n") == true)
  }
}
