// top: the server at a glance, redrawn in place at a terminal, plain text anywhere else.

import EscapementClient
import Foundation
import Glibc

extension Command {
  static let top = Command(
    name: "top",
    summary: """
      Show the wheels, topics and queues, fresh every second, until interrupted.
      At a terminal the screen is redrawn in place; anywhere else each look is plain text behind an empty line.
      Of a cluster it shows all shards together; 'escapement cluster' shows who leads them.
      """,
    options: [.flag("once", "look once, and end")] + connectionOptions
  ) { options in
    try await Session.run(options, reconnect: ReconnectBackoff(maxMs: 1_000)) { client in
      if options.has("once") {
        Output.line(TopScreen(try await client.overview()).lines(withDial: false).joined(separator: "\n"))
        return 0
      }
      let terminal = Terminal()
      defer { terminal?.restore() }
      do {
        try await Interruption.cancelling {
          var last: ServerOverview?
          while true {
            let now = try await client.overview()
            let screen = TopScreen(now, since: last)
            if let terminal {
              terminal.show(screen.lines(withDial: terminal.size.columns >= Terminal.columnsForDial))
            } else if !Output.line(screen.lines(withDial: false).joined(separator: "\n") + "\n") {
              return
            }
            last = now
            try await Task.sleep(for: .seconds(1))
          }
        }
      } catch is CancellationError {}
      return 0
    }
  }
}

/// The standard output, when it is a terminal.
struct Terminal: Sendable {
  /// From this width on, the dial has room beside the numbers.
  static let columnsForDial = 120

  /// Nil when the standard output is no terminal. Otherwise the screen is kept, until `restore`.
  init?() {
    guard isatty(STDOUT_FILENO) == 1 else { return nil }
    // The other screen, without a cursor.
    Self.write("\u{1B}[?1049h\u{1B}[?25l")
  }

  func restore() { Self.write("\u{1B}[?25h\u{1B}[?1049l") }

  var size: (columns: Int, rows: Int) {
    var size = winsize()
    guard ioctl(STDOUT_FILENO, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0, size.ws_row > 0 else { return (80, 24) }
    return (Int(size.ws_col), Int(size.ws_row))
  }

  /// Draws over what is there: home, each line to its end, and nothing below.
  func show(_ lines: [String]) {
    let (columns, rows) = size
    let shown = lines.prefix(rows - 1).map { $0.prefix(columns) + "\u{1B}[K" }
    Self.write("\u{1B}[H" + shown.joined(separator: "\r\n") + "\u{1B}[J")
  }

  private static func write(_ text: String) {
    print(text, terminator: "")
    fflush(nil)
  }
}
