// What is being done and how far it is, for whoever waits: one line on standard error that changes, or, where that is no
// terminal, a line every five seconds.
//
// Holds: counting costs one addition to an atomic; the line is written by a thread of its own.

import Glibc
import Platform
import Synchronization

enum Progress {
  private struct Phase {
    var name = ""
    var total = 0
    var startNs: Int64 = 0
  }

  private static let phase = Mutex<Phase>(Phase())
  private static let done = Atomic<Int>(0)
  private static let isTerminal = isatty(2) != 0
  private static let ticker: Thread? = try? Thread(name: "progress") {
    while true {
      SystemClock.pause(ns: isTerminal ? 200_000_000 : 5_000_000_000)
      show()
    }
  }

  /// Begins something; `total` is what `advance` will have added up to at the end, 0 when nobody knows.
  static func begin(_ name: String, of total: Int = 0) {
    phase.withLock { $0 = Phase(name: name, total: total, startNs: SystemClock.bootNs()) }
    done.store(0, ordering: .relaxed)
    precondition(ticker != nil, "a thread can be started")
    if isTerminal { show() }
  }

  static func advance(_ count: Int) { _ = done.add(count, ordering: .relaxed) }

  static func end() {
    phase.withLock { $0 = Phase() }
    clearLine()
  }

  /// Waits, and shows how far it is.
  static func wait(_ name: String, seconds: Int) {
    begin(name, of: seconds)
    for _ in 0..<seconds {
      sleep(1)
      advance(1)
    }
    end()
  }

  static func clearLine() { if isTerminal { put("\r\u{1B}[K") } }

  private static func show() {
    let now = phase.withLock { $0 }
    guard !now.name.isEmpty else { return }
    let count = done.load(ordering: .relaxed)
    let seconds = Double(SystemClock.bootNs() - now.startNs) / 1e9
    var text = "  \(now.name)"
    if now.total > 0 {
      text += ": \(Figures.spaced(count)) of \(Figures.spaced(now.total)), \(100 * count / now.total) %"
    }
    text += ", \(Figures.decimal(seconds, places: 0)) s"
    put(isTerminal ? "\r\u{1B}[K\(text)" : text + "\n")
  }

  private static func put(_ text: String) {
    var text = text
    text.withUTF8 { _ = write(2, $0.baseAddress, $0.count) }
  }
}
