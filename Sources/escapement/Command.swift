// A sub-command: its name, its options, what it does; and the help made from them.

struct Command: Sendable {
  /// One word, or two of a family such as `access add`.
  var name: String
  /// The positional arguments, all needed.
  var positional: [String] = []
  /// What it does, in a line; more lines are for its own help.
  var summary: String
  var options: [Option]
  /// Does it; gives the exit code.
  var run: @Sendable (CommandLineOptions) async throws -> Int32
  /// Instead of `run`, for a command that wants the main thread for itself and no other thread beside it: Dispatch's
  /// threads block signals, and what they start inherits that.
  var runOnMainThread: (@Sendable (CommandLineOptions) throws -> Int32)?

  init(
    name: String, positional: [String] = [], summary: String, options: [Option],
    run: @escaping @Sendable (CommandLineOptions) async throws -> Int32
  ) {
    self.name = name
    self.positional = positional
    self.summary = summary
    self.options = options
    self.run = run
  }

  /// A command on the main thread.
  static func onMainThread(
    name: String, positional: [String] = [], summary: String, options: [Option],
    run: @escaping @Sendable (CommandLineOptions) throws -> Int32
  ) -> Command {
    var command = Command(name: name, positional: positional, summary: summary, options: options) { try run($0) }
    command.runOnMainThread = run
    return command
  }

  /// The words of its name.
  var words: [String] { name.split(separator: " ").map(String.init) }

  /// The options of every command that talks to a server.
  static let connectionOptions: [Option] = [
    .value(
      "server", "HOST:PORT", "the server, or nodes of a cluster separated by commas; or set ESCAPEMENT_SERVER",
      standard: "127.0.0.1:7611"),
    .flag("tls", "speak TLS; the server must be whom its name says; or set ESCAPEMENT_TLS=on"),
    .value(
      "tls-ca", "FILE",
      "speak TLS; whom to trust, as PEM, instead of the system's authorities; or set ESCAPEMENT_TLS_CA"),
    .value("tls-client-cert", "FILE", "what to show to a server that wants a certificate, with its key, as PEM"),
    .value("token", "TOKEN", "the token, when the server wants one; or set ESCAPEMENT_TOKEN"),
  ]

  /// `usage:` line, summary and options.
  var help: String {
    let words = ["escapement", name] + positional + (options.isEmpty ? [] : ["[options]"])
    return "usage: \(words.joined(separator: " "))\n\n\(summary)\n" + Self.optionHelp(options)
  }

  static func optionHelp(_ options: [Option]) -> String {
    let help = options + [.flag("help", "this text (-h)")]
    let columns = help.map { "--\($0.name)" + ($0.value.map { " \($0)" } ?? "") }
    let width = (columns.map(\.count).max() ?? 0) + 2
    let lines = zip(columns, help).map { column, option in
      "  " + column.padded(to: width) + option.meaning + (option.repeats ? " (may repeat)" : "")
        + (option.standard.map { " [\($0)]" } ?? "")
    }
    return "\noptions:\n" + lines.joined(separator: "\n") + "\n"
  }
}

extension String {
  /// With blanks on the right.
  func padded(to width: Int) -> String { self + String(repeating: " ", count: max(0, width - count)) }

  /// With blanks on the left.
  func rightAligned(to width: Int) -> String { String(repeating: " ", count: max(0, width - count)) + self }
}
