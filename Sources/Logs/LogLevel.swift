// What a line of the log is: how urgent, in which form, with which values.

/// How urgent a line is; a log keeps its own level and what is more urgent.
public enum LogLevel: String, CaseIterable, Comparable, Sendable {
  /// Details for somebody who looks for an error.
  case debug
  /// Events that an operator wants to find afterwards: starts, stops, recoveries.
  case info
  /// Something happened that should not, and the server goes on as before.
  case warning
  /// Something does not work any more.
  case error

  /// Less urgent before more urgent.
  public static func < (one: LogLevel, other: LogLevel) -> Bool { one.rank < other.rank }

  private var rank: Int {
    switch self {
    case .debug: 0
    case .info: 1
    case .warning: 2
    case .error: 3
    }
  }
}

/// The form of a line.
public enum LogFormat: String, CaseIterable, Sendable {
  /// For people: time, level, event, message, values.
  case text
  /// For programs: a JSON object a line.
  case json
}

/// A value that a line names beside its message. Never a message's body, and never a secret.
public enum LogValue: Sendable, ExpressibleByStringLiteral, ExpressibleByIntegerLiteral {
  /// Text.
  case text(String)
  /// A number.
  case number(Int64)

  /// Text known at compile time.
  public init(stringLiteral text: String) { self = .text(text) }

  /// A number known at compile time.
  public init(integerLiteral number: Int64) { self = .number(number) }
}
