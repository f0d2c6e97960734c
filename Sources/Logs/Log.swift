// The log: one line for each event that an operator may want to know of.
//
// Holds: a line is one write, with no control character inside, whatever its message and values hold; of one event no more
// than `linesPerWindow` lines come in `windowMs`, and how many were left out is said by the next line of that event, or by a
// line of its own once the window is over and something else is logged.
// Leaves to others: what is worth a line; that no body and no secret is put into one (the callers); the clock, the file.

import Primitives
import Synchronization

/// A log. Safe for use by any thread; not for the hot path.
public final class Log: Sendable {
  /// Lines of one event that are written in one window.
  public static let linesPerWindow = 20
  /// The length of a window.
  public static let windowMs: Int64 = 10_000

  private struct Window {
    var startMs: Int64
    var lines = 0
    var suppressed = 0
  }

  private let format: LogFormat
  private let level: LogLevel
  private let nowMs: @Sendable () -> Int64
  private let sink: @Sendable (UnsafeRawBufferPointer) -> Void
  // By the name of the event: as many as there are places in the code.
  private let windows = Mutex<[String: Window]>([:])

  /// Makes a log.
  ///
  /// - Parameters:
  ///   - level: less urgent lines are left out.
  ///   - nowMs: the wall clock, Unix ms.
  ///   - sink: takes a whole line with its line break; called by one thread at a time.
  public init(
    format: LogFormat, level: LogLevel, nowMs: @escaping @Sendable () -> Int64,
    sink: @escaping @Sendable (UnsafeRawBufferPointer) -> Void
  ) {
    self.format = format
    self.level = level
    self.nowMs = nowMs
    self.sink = sink
  }

  /// Writes a line, unless it is not urgent enough or one of too many.
  ///
  /// - Parameters:
  ///   - event: the kind of event, in `lower_case`; what a program looks for.
  ///   - message: for people.
  ///   - values: what it is about; the names are not those that every line has.
  public func write(
    _ level: LogLevel, _ event: StaticString, _ message: String, _ values: KeyValuePairs<StaticString, LogValue> = [:]
  ) {
    guard level >= self.level else { return }
    let now = nowMs()
    windows.withLock { windows in
      let name = "\(event)"
      tellSuppressed(&windows, now, among: { $0 != name })
      var window = windows[name] ?? Window(startMs: now)
      var suppressed = 0
      if Self.isOver(window, now) {
        suppressed = window.suppressed
        window = Window(startMs: now)
      }
      if window.lines < Self.linesPerWindow {
        window.lines += 1
        emit(now, level, name, message, values, suppressed)
      } else {
        window.suppressed += 1
      }
      windows[name] = window
    }
  }

  /// Says what has been left out so far; for the end of the program.
  public func finish() {
    let now = nowMs()
    windows.withLock { windows in
      for name in windows.keys { windows[name]!.startMs = now - Self.windowMs }
      tellSuppressed(&windows, now, among: { _ in true })
    }
  }

  // A clock that was set back begins a new window, too.
  private static func isOver(_ window: Window, _ now: Int64) -> Bool {
    now < window.startMs || now - window.startMs >= windowMs
  }

  private func tellSuppressed(_ windows: inout [String: Window], _ now: Int64, among isWanted: (String) -> Bool) {
    for (name, window) in windows.sorted(by: { $0.key < $1.key })
    where window.suppressed > 0 && Self.isOver(window, now) && isWanted(name) {
      emit(now, .warning, name, "lines of this event were left out", [:], window.suppressed)
      windows[name] = Window(startMs: now)
    }
  }

  private func emit(
    _ now: Int64, _ level: LogLevel, _ event: String, _ message: String,
    _ values: KeyValuePairs<StaticString, LogValue>, _ suppressed: Int
  ) {
    var line = ByteBuffer(capacity: 256)
    switch format {
    case .text: line.appendLogText(now, level, event, message, values, suppressed)
    case .json: line.appendLogJSON(now, level, event, message, values, suppressed)
    }
    sink(line.readable)
  }
}
