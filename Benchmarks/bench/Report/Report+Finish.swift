// What a command does with its report in the end.

import Foundation

extension Report {
  /// Prints the report and writes the files that were asked for.
  func show(_ flags: Flags) {
    say(text)
    for (name, content) in [("json", { json }), ("html", { page }), ("svg", { picture })] {
      let path = flags.text(name)
      guard !path.isEmpty else { continue }
      do {
        try content().write(toFile: path, atomically: true, encoding: .utf8)
        say("  written: \(path)")
      } catch { fail("cannot write \(path): \(error.localizedDescription)") }
    }
  }
}
