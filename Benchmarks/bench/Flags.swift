// The flags of a command: `--name value` pairs with defaults.
//
// Holds: every flag has a default that says what kind of value it takes; an unknown or malformed one ends the program with
// the help text, before anything is measured.

import Glibc

/// A flag that a command takes.
struct Option: Sendable {
  let name: String
  let standard: String
  let meaning: String

  init(_ name: String, _ standard: String, _ meaning: String) {
    self.name = name
    self.standard = standard
    self.meaning = meaning
  }

  init(_ name: String, _ standard: Int, _ meaning: String) { self.init(name, "\(standard)", meaning) }

  /// A flag without a value: `yes` when it is there.
  static func onOff(_ name: String, _ meaning: String) -> Option { Option(name, "no", meaning) }
  var isSwitch: Bool { standard == "no" }

  /// Of every command.
  static let ofReports = [
    Option("json", "", "write the report to this file, for programs"),
    Option("html", "", "write it as a page that needs nothing else"),
    Option("svg", "", "write it as one picture"),
  ]

  /// Of every command that runs the server.
  static let ofServers = [
    Option("fsync", "always", "the server's: always, interval:MS, never"),
    Option("binary", "", "the server; empty: escapement, beside this program"),
    Option("folder", "/tmp", "where the data folder is made; it is removed afterwards"),
    Option("pause", 0, "seconds to wait before the measured part, to attach a profiler"),
  ]
}

struct Flags {
  /// The command whose flags they are.
  let command: String
  private let options: [Option]
  private var values: [String: String] = [:]

  /// Reads `arguments`; on `--help` or a mistake prints the help and ends the program.
  init(_ command: Command, _ arguments: [String]) {
    self.command = command.name
    options = command.options + Option.ofReports
    var rest = arguments[...]
    while let flag = rest.popFirst() {
      let name = String(flag.dropFirst(2))
      if flag == "--\(name)", options.contains(where: { $0.name == name && $0.isSwitch }) {
        values[name] = "yes"
        continue
      }
      guard flag.hasPrefix("--"), let option = options.first(where: { $0.name == name }), let value = rest.popFirst(),
        Int(option.standard) == nil || Int(value).map({ $0 >= 0 }) == true
      else {
        print(command.help)
        exit(flag == "--help" ? 0 : 2)
      }
      values[name] = value
    }
  }

  func text(_ name: String) -> String {
    guard let option = options.first(where: { $0.name == name }) else {
      preconditionFailure("there is no flag \(name)")
    }
    return values[name] ?? option.standard
  }

  /// Whether a flag without a value is there.
  func has(_ name: String) -> Bool { text(name) == "yes" }

  func number(_ name: String) -> Int {
    guard let value = Int(text(name)) else { preconditionFailure("flag \(name) has no number as default") }
    return value
  }

  /// What a reader of the report wants to know: all that is set, except where files lie.
  var shown: [(name: String, value: String)] {
    let hidden = ["json", "html", "svg", "binary", "folder", "pause"]
    return options.map { ($0.name, text($0.name)) }.filter { !hidden.contains($0.0) && !$0.1.isEmpty }
  }
}
