// The command line: what is understood, what is refused with which words, times and lengths of time.

import Testing

@testable import escapement

@Suite("command line")
struct CommandLineOptionsTests {
  private static let options: [escapement.Option] = [
    .value("in", "DURATION", "when"), .value("header", "NAME=VALUE", "a header", repeats: true),
    .flag("json", "as JSON"),
    .value("limit", "N", "how many"), .value("if-exists", "WHAT", "what then"),
  ]

  private func parse(_ line: String, positional: [String] = ["TOPIC"]) throws -> CommandLineOptions {
    try CommandLineOptions(line.split(separator: " ").map(String.init), options: Self.options, positional: positional)
  }

  @Test(
    "a good line gives its values",
    arguments: [
      ("t", [], false, nil), ("t --json", [], true, nil), ("--json t --in 5s", [], true, "5s"),
      ("--in=5s t", [], false, "5s"),
      ("t --header a=1 --header b=2=3", ["a=1", "b=2=3"], false, nil), ("--in - -- t", [], false, "-"),
      ("--in= t", [], false, ""),
    ] as [(String, [String], Bool, String?)])
  func good(_ line: String, _ headers: [String], _ isJSON: Bool, _ due: String?) throws {
    let options = try parse(line)
    #expect(options.arguments == ["t"])
    #expect(options.texts("header") == headers && options.has("json") == isJSON && options.text("in") == due)
  }

  @Test(
    "a bad line says what is wrong",
    arguments: [
      ("", "TOPIC is missing"), ("t u", "unexpected argument 'u'"),
      ("t --what", "unknown option '--what'; the nearest is '--in'"),
      ("t -x", "unknown option '-x'"), ("t --in", "--in needs a value: --in DURATION"),
      ("t --in --json", "--in needs a value: --in DURATION"), ("t --json=1", "--json takes no value"),
      ("t --in 1s --in 2s", "--in is given twice"), ("t --json --json", "--json is given twice"),
    ])
  func bad(_ line: String, _ message: String) {
    #expect(throws: UsageError(message)) { try parse(line) }
  }

  @Test(
    "help is asked for in any place but after --",
    arguments: [("-h", true), ("t --help --what", true), ("-- -h", false)])
  func help(_ line: String, _ asks: Bool) throws {
    #expect(try parse(line).asksForHelp == asks)
  }

  @Test(
    "a message needs exactly one time, and a line without one is told all ways to say it",
    arguments: [
      ("t", "say when: --in DURATION, --at TIME or --level N"),
      ("t --in 1s --at 5", "only one of --in, --at and --level can hold"),
      ("t --level 1 --at 5", "only one of --in, --at and --level can hold"),
    ])
  func oneTime(_ line: String, _ message: String) throws {
    let words = line.split(separator: " ").map(String.init)
    let options = try CommandLineOptions(words, options: MessageOptions.due, positional: ["TOPIC"])
    #expect(throws: UsageError(message)) { try MessageOptions.due(options) }
  }

  @Test("values of a wrong kind are refused")
  func wrongValues() throws {
    let options = try parse("t --in soon --limit 1001 --header x --if-exists maybe")
    #expect(throws: UsageError.self) { try options.durationMs("in") }
    #expect(throws: UsageError.self) { try options.timeMs("in") }
    #expect(throws: UsageError("--limit: '1001' is no whole number from 1 to 1000")) {
      try options.integer("limit", in: 1...1_000)
    }
    #expect(throws: UsageError.self) { try options.pairs("header") }
    #expect(try options.integer("absent", in: 1...2) == nil)
    #expect(try parse("t --header a=b=c").pairs("header") == ["a": "b=c"])
  }

  @Test(
    "lengths of time",
    arguments: [
      ("500ms", 500), ("2s", 2_000), ("30m", 1_800_000), ("10h", 36_000_000), ("1d", 86_400_000), ("1h30m", 5_400_000),
      ("0", 0), ("0s", 0), ("", nil), ("5", nil), ("h", nil), ("1h30", nil), ("-1s", nil), ("1w", nil), ("1 h", nil),
      ("1.5h", nil), ("9223372036854775807ms", .max), ("9223372036854775808ms", nil), ("9223372036854775807s", nil),
      ("9223372036854775807ms1ms", nil), ("٣s", nil),
    ] as [(String, Int64?)])
  func durations(_ text: String, _ ms: Int64?) {
    #expect(TimeText.durationMs(text) == ms)
  }

  @Test(
    "times",
    arguments: [
      ("1700000000123", 1_700_000_000_123), ("1970-01-01T00:00:00Z", 0), ("1970-01-01T01:00:00+01:00", 0),
      ("2023-11-14T22:13:20.123Z", 1_700_000_000_123), ("2023-11-14T22:13:20.1230001Z", 1_700_000_000_124),
      ("2023-11-14T22:13:20.5z", 1_700_000_000_500), ("2023-11-14t17:13:20-05:00", 1_700_000_000_000),
      ("2000-02-29T00:00:00Z", 951_782_400_000), ("1969-12-31T23:59:59.999Z", -1),
      ("2024-12-31T23:59:59Z", 1_735_689_599_000),
      ("2023-02-29T00:00:00Z", nil), ("1900-02-29T00:00:00Z", nil), ("2023-13-01T00:00:00Z", nil),
      ("2023-01-01T24:00:00Z", nil), ("2023-01-01T00:00:00", nil), ("2023-01-01", nil), ("tomorrow", nil),
      ("2023-01-01T00:00:00.Z", nil), ("2023-01-01T00:00:00Zx", nil), ("", nil),
    ] as [(String, Int64?)])
  func times(_ text: String, _ ms: Int64?) {
    #expect(TimeText.timeMs(text) == ms)
  }

  @Test(
    "a time written is the time read",
    arguments: [0, -1, 1_700_000_000_123, 951_782_400_000, 253_402_300_799_999, -62_135_596_800_000] as [Int64])
  func roundTrip(_ ms: Int64) {
    #expect(TimeText.timeMs(TimeText.time(ms: ms)) == ms)
  }

  @Test(
    "server addresses",
    arguments: [
      ("127.0.0.1:7611", "127.0.0.1", 7611), ("[::1]:80", "::1", 80), ("host:0", nil, 0), ("host", nil, 0),
      (":80", nil, 0), ("host:99999", nil, 0), ("host:x", nil, 0),
    ] as [(String, String?, Int)])
  func addresses(_ text: String, _ host: String?, _ port: Int) {
    guard let host else {
      #expect(throws: UsageError.self) { try Session.address(text) }
      return
    }
    #expect(throws: Never.self) {
      let address = try Session.address(text)
      #expect(address.host == host && address.port == port)
    }
  }

  @Test(
    "the program's exit codes",
    arguments: [
      ([], 2), (["nonsense"], 2), (["--nonsense"], 2), (["--help"], 0), (["-h"], 0), (["--version"], 0),
      (["get", "t"], 2),
      (["schedule", "t", "--in", "1s", "--body", "{oops"], 2),
      (["get", "-h"], 0), (["schedule", "t", "--in", "1s", "--at", "5"], 2), (["stats", "--server", "127.0.0.1:1"], 1),
    ] as [([String], Int32)])
  func exitCodes(_ words: [String], _ code: Int32) async {
    #expect(await Program.run(words) == code)
  }

  @Test("every command explains each of its options", arguments: Program.commands.map(\.name))
  func commandHelp(_ name: String) throws {
    let command = try #require(Program.commands.first { $0.name == name })
    for option in command.options { #expect(command.help.contains("--\(option.name)")) }
    #expect(Program.help.contains("  \(name)"))
    #expect(Set(command.options.map(\.name)).count == command.options.count)
  }
}
