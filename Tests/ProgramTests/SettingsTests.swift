// The settings of `serve`: their sources, their order, what is refused with which words, and the page made from the table.

import Foundation
import Testing

@testable import escapement

@Suite("settings")
struct SettingsTests {
  private func resolve(
    _ line: String = "", _ environment: [String: String] = [:], file: String? = nil
  ) throws -> ResolvedSettings {
    var words = line.split(separator: " ").map(String.init)
    let path = FileManager.default.temporaryDirectory.appending(path: "settings-\(UUID().uuidString).json").path
    defer { try? FileManager.default.removeItem(atPath: path) }
    if let file {
      try file.write(toFile: path, atomically: false, encoding: .utf8)
      words += ["--config", path]
    }
    do {
      let options = try CommandLineOptions(words, options: Command.serve.options, positional: [])
      return try ResolvedSettings(options, environment: environment)
    } catch {
      throw UsageError(error.description.replacingOccurrences(of: path, with: "FILE"))
    }
  }

  private func setting(_ name: String) throws -> Setting {
    try #require(SettingsTable.all.first { $0.name == name })
  }

  @Test("a flag counts before a variable, a variable before the file, the file before the default")
  func precedence() throws {
    let tick = try setting("tick-ms")
    let file = #"{"tick-ms": 2}"#
    let variables = ["ESCAPEMENT_TICK_MS": "3"]
    let all = try resolve("--tick-ms 4", variables, file: file)
    #expect(tick.shown(all.settings) == "4" && all.origin(tick) == .flag)
    let two = try resolve("", variables, file: file)
    #expect(tick.shown(two.settings) == "3" && two.origin(tick) == .environment("ESCAPEMENT_TICK_MS"))
    let one = try resolve("", file: file)
    #expect(tick.shown(one.settings) == "2" && "\(one.origin(tick))".hasPrefix("file "))
    let none = try resolve("", ["ESCAPEMENT_TICK_MS": ""])
    #expect(tick.shown(none.settings) == "1" && none.origin(tick) == .standard)
  }

  @Test("every setting can be given in each way, and shows its default", arguments: SettingsTable.all.map(\.name))
  func everyWay(_ name: String) throws {
    let setting = try setting(name)
    // Those that are nothing unless something is said.
    guard !setting.shown(ServeSettings()).isEmpty else { return }
    let text = setting.shown(ServeSettings())
    if setting.standardInWords == nil { #expect(setting.standard == text) }
    #expect(try resolve("", [setting.variable: text]).origin(setting) == .environment(setting.variable))
    let quoted = text.replacingOccurrences(of: "\"", with: "\\\"")
    let resolved = try resolve("", file: "{\"\(name)\": \"\(quoted)\"}")
    #expect(setting.shown(resolved.settings) == text && "\(resolved.origin(setting))".hasPrefix("file "))
    #expect(setting.option.name == name && Command.serve.help.contains("--\(name)"))
  }

  @Test("names are used once, and a variable is the name in capitals")
  func names() throws {
    #expect(Set(SettingsTable.all.map(\.name)).count == SettingsTable.all.count)
    #expect(try setting("max-line-bytes").variable == "ESCAPEMENT_MAX_LINE_BYTES")
  }

  @Test(
    "values with units, and the kinds of JSON values",
    arguments: [
      (#"{"max-line-bytes": "4MiB"}"#, "max-line-bytes", "4194304"),
      (#"{"max-line-bytes": 2048}"#, "max-line-bytes", "2048"),
      (#"{"max-line-bytes": 2048}"#, "max-body-bytes", "2048"),
      (#"{"max-line-bytes": 2048, "max-body-bytes": "100"}"#, "max-body-bytes", "100"),
      (#"{"id-window-ms": "1h30m"}"#, "id-window-ms", "5400000"), (#"{"salvage": true}"#, "salvage", "on"),
      (#"{"auto-create": false}"#, "auto-create", "off"), (#"{"auto-create": "off"}"#, "auto-create", "off"),
      (#"{"fsync": "interval"}"#, "fsync", "interval:100"), (#"{"listen": "[::1]:0"}"#, "listen", "[::1]:0"),
      (#"{"segment-bytes": 4097}"#, "segment-bytes", "8192"), ("{}", "tick-ms", "1"),
      (#"{"delay-levels": "1s 2s"}"#, "delay-levels", "1s 2s"),
    ])
  func values(_ file: String, _ name: String, _ shown: String) throws {
    #expect(try setting(name).shown(resolve("", file: file).settings) == shown)
  }

  @Test(
    "what is wrong in a file is said, with where it stands",
    arguments: [
      (#"{"max-conections": 5}"#, "FILE: unknown setting 'max-conections'; the nearest is 'max-connections'"),
      (#"{"tick-ms": 0}"#, "FILE: tick-ms: '0' is no whole number from 1 to 60000"),
      (#"{"tick-ms": 1.5}"#, "FILE: tick-ms: '1.5' is no whole number"),
      (#"{"max-line-bytes": "9MB"}"#, "FILE: max-line-bytes: '9MB' is no whole number"),
      (#"{"max-line-bytes": "9999999999TiB"}"#, "is no whole number"),
      (#"{"tick-ms": null}"#, "a number, or a string was expected"),
      (#"{"data": 5}"#, "FILE: data: a string was expected"),
      (#"{"salvage": 1}"#, "true, false, or a string was expected"),
      (#"{"salvage": "yes"}"#, "FILE: salvage: 'yes' is none of on, off"),
      (#"{"config": "x"}"#, "cannot name another one"),
      (#"{"tick-ms": 1, "tick-ms": 2}"#, "FILE: line 1, byte 16: an object has the same key twice"),
      ("{\n\"tick-ms\": 1,\n}", "FILE: line 3, byte 1: a field name in quotes was expected"),
      ("[]", "FILE: line 1, byte 1: a JSON object was expected"), ("", "a JSON object was expected"),
      (#"{"tick-ms": 1"#, "the text ends too early"),
      ("{} x", "FILE: line 1, byte 4: there is something after the object"),
    ])
  func badFile(_ file: String, _ message: String) {
    #expect { try resolve("", file: file) } throws: { "\($0)".contains(message) }
  }

  @Test(
    "what is wrong in flags and variables is said",
    arguments: [
      ("--max-conections 5", [:], "unknown option '--max-conections'; the nearest is '--max-connections'"),
      ("--tick-ms abc", [:], "--tick-ms: 'abc' is no whole number from 1 to 60000"),
      ("--http nonsense", [:], "--http: 'nonsense' is no HOST:PORT"),
      ("--listen nonsense", [:], "--listen: 'nonsense' is no HOST:PORT"),
      ("--config /nowhere/x", [:], "'/nowhere/x' cannot be read"),
      (
        "", ["ESCAPEMENT_TICKMS": "1"],
        "unknown environment variable 'ESCAPEMENT_TICKMS'; the nearest is 'ESCAPEMENT_TICK_MS'"
      ),
      ("--tick-ms 5", ["ESCAPEMENT_TICK_MS": "0"], "ESCAPEMENT_TICK_MS: '0' is no whole number"),
      ("", ["ESCAPEMENT_CONFIG": "/nowhere/x"], "'/nowhere/x' cannot be read"),
    ] as [(String, [String: String], String)])
  func badFlag(_ line: String, _ environment: [String: String], _ message: String) {
    #expect { try resolve(line, environment) } throws: { "\($0)".contains(message) }
  }

  @Test(
    "variables of other programs with our prefix are let through",
    arguments: [
      "ESCAPEMENT_SERVER", "ESCAPEMENT_TOKEN", "ESCAPEMENT_PORT", "ESCAPEMENT_PORT_7611_TCP_ADDR",
      "ESCAPEMENT_SERVICE_HOST",
    ])
  func foreign(_ variable: String) {
    #expect(throws: Never.self) { try resolve("", [variable: "tcp://10.0.0.1:7611", "PATH": "/bin"]) }
  }

  @Test(
    "whoever listens on more than loopback asks for tokens or says that he does not",
    arguments: [
      ("127.0.0.1", true), ("127.8.0.1", true), ("::1", true), ("localhost", true), ("0.0.0.0", false), ("", false),
      ("*", false),
      ("::", false), ("10.0.0.1", false), ("127.example.org", false), ("127.0.0.1.example.org", false),
      ("127.0.0.300", false),
    ])
  func loopback(_ host: String, _ isLoopback: Bool) throws {
    #expect(ResolvedSettings.isLoopback(host) == isLoopback)
    guard !isLoopback, !host.isEmpty else { return }
    let address = host.contains(":") ? "[\(host)]:0" : "\(host):0"
    #expect { try resolve("--listen \(address)") } throws: { "\($0)".contains("--insecure") }
    #expect(throws: Never.self) { try resolve("--listen \(address) --insecure") }
  }

  @Test(
    "the nearest name",
    arguments: [("abd", "abc"), ("", "a"), ("xyz", "abc"), ("tick_ms", "tick-ms"), ("tickms", "tick-ms")])
  func nearest(_ word: String, _ name: String) {
    #expect(NearestName.of(word, among: ["abc", "tick-ms", "a"]) == name)
  }

  @Test(
    "edit distance",
    arguments: [("", "", 0), ("kitten", "sitting", 3), ("a", "", 1), ("", "ab", 2), ("flaw", "lawn", 2)])
  func distance(_ one: String, _ other: String, _ steps: Int) {
    #expect(NearestName.distance(one, other) == steps && NearestName.distance(other, one) == steps)
  }

  @Test("the reference page is the one that the table makes")
  func page() throws {
    let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent().appending(path: "docs/settings.md").path
    if ProcessInfo.processInfo.environment["WRITE_PAGES"] != nil {
      try SettingsText.page.write(toFile: path, atomically: true, encoding: .utf8)
    }
    #expect(
      try String(contentsOfFile: path, encoding: .utf8) == SettingsText.page,
      "docs/settings.md is out of date; make it again with: WRITE_PAGES=1 swift test --filter SettingsTests")
  }
}
