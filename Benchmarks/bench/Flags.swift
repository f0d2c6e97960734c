// The flags of a benchmark: `--name value` pairs with defaults.
//
// Holds: every flag has a default that says what kind of value it takes; an unknown or malformed one ends the program with
// the help text, before anything is measured.

import Glibc

struct Flags {
  private var values: [String: String] = [:]

  /// Reads `arguments`; on `--help` or a mistake prints `help` and ends the program.
  init(_ arguments: [String], defaults: [String: String], help: String) {
    values = defaults
    var rest = arguments[...]
    while let flag = rest.popFirst() {
      let name = String(flag.dropFirst(2))
      guard flag.hasPrefix("--"), let standard = defaults[name], let value = rest.popFirst(),
        Int(standard) == nil || Int(value).map({ $0 >= 0 }) == true
      else {
        print(help)
        exit(flag == "--help" ? 0 : 2)
      }
      values[name] = value
    }
  }

  func text(_ name: String) -> String {
    guard let value = values[name] else { preconditionFailure("flag \(name) has no default") }
    return value
  }

  func number(_ name: String) -> Int {
    guard let value = Int(text(name)) else { preconditionFailure("flag \(name) has no number as default") }
    return value
  }

  /// The defaults of every benchmark that runs the server, with `others`.
  static func serverDefaults(_ others: [String: String]) -> [String: String] {
    ["fsync": "always", "binary": "", "folder": "/tmp", "pause": "0"].merging(others) { $1 }
  }

  static let serverHelp = """
      --fsync MODE     the server's: always, interval:MS, never (always)
      --binary PATH    the server (escapement, beside this program)
      --folder DIR     where the data folder is made; it is removed afterwards (/tmp)
      --pause S        seconds to wait before the measured part, to attach a profiler (0)
    """
}
