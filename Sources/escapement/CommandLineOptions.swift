// Options on the command line: one table of them per command serves parsing and help.
//
// Holds: after `parse`, every option is known, has its value, and occurs once unless it may repeat; the number of
// positional arguments is right.
// Leaves to others: what the values mean together (the commands).

/// A mistake of whoever typed the command. The program exits with 2.
struct UsageError: Error, Equatable, CustomStringConvertible {
  var description: String

  init(_ description: String) { self.description = description }
}

/// One option: `--name VALUE`, or `--name` alone when it has no value.
struct Option: Sendable {
  /// Without the dashes.
  var name: String
  /// What stands for the value in help texts; nil: a switch.
  var value: String?
  /// What it means, in a line.
  var meaning: String
  /// The default, for help texts.
  var standard: String?
  /// It may be given more than once.
  var repeats = false

  static func value(
    _ name: String, _ value: String, _ meaning: String, standard: String? = nil, repeats: Bool = false
  ) -> Option {
    Option(name: name, value: value, meaning: meaning, standard: standard, repeats: repeats)
  }

  static func flag(_ name: String, _ meaning: String) -> Option { Option(name: name, meaning: meaning) }
}

struct CommandLineOptions: Sendable, Equatable {
  private var values: [String: [String]] = [:]
  /// The positional arguments, in their order.
  private(set) var arguments: [String] = []

  /// `-h` or `--help` was given; nothing else was checked then.
  private(set) var asksForHelp = false

  /// Reads `--name value`, `--name=value`, switches and positional arguments; after `--` everything is positional.
  ///
  /// - Parameter positional: the names of the positional arguments, all of them needed.
  init(_ words: [String], options: [Option], positional: [String]) throws(UsageError) {
    var rest = words[...]
    if words.prefix(while: { $0 != "--" }).contains(where: { $0 == "-h" || $0 == "--help" }) {
      asksForHelp = true
      return
    }
    while let word = rest.popFirst() {
      if word == "--" {
        arguments.append(contentsOf: rest)
        break
      }
      if word.hasPrefix("--") {
        try take(word.dropFirst(2), &rest, options)
      } else if word.hasPrefix("-"), word.count > 1 {
        throw UsageError("unknown option '\(word)'")
      } else {
        arguments.append(word)
      }
    }
    if arguments.count < positional.count { throw UsageError("\(positional[arguments.count]) is missing") }
    if arguments.count > positional.count { throw UsageError("unexpected argument '\(arguments[positional.count])'") }
  }

  private mutating func take(
    _ word: Substring, _ rest: inout ArraySlice<String>, _ options: [Option]
  ) throws(UsageError) {
    let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let name = String(parts[0])
    guard let option = options.first(where: { $0.name == name }) else {
      let nearest = NearestName.of(name, among: options.map(\.name)).map { "; the nearest is '--\($0)'" }
      throw UsageError("unknown option '--\(name)'" + (nearest ?? ""))
    }
    guard option.repeats || values[name] == nil else { throw UsageError("--\(name) is given twice") }
    var value = parts.count > 1 ? String(parts[1]) : nil
    if let placeholder = option.value {
      if value == nil, let next = rest.first, !next.hasPrefix("--") { value = rest.popFirst() }
      guard value != nil else { throw UsageError("--\(name) needs a value: --\(name) \(placeholder)") }
    } else if value != nil {
      throw UsageError("--\(name) takes no value")
    }
    values[name, default: []].append(value ?? "")
  }

  func has(_ name: String) -> Bool { values[name] != nil }

  func text(_ name: String) -> String? { values[name]?.last }

  func texts(_ name: String) -> [String] { values[name] ?? [] }

  /// A whole number within bounds.
  func integer(_ name: String, in bounds: ClosedRange<Int64>) throws(UsageError) -> Int64? {
    guard let text = text(name) else { return nil }
    guard let number = Int64(text), bounds.contains(number) else {
      throw UsageError("--\(name): '\(text)' is no whole number from \(bounds.lowerBound) to \(bounds.upperBound)")
    }
    return number
  }

  /// A length of time like `500ms` or `1h30m`, in ms.
  func durationMs(_ name: String) throws(UsageError) -> Int64? {
    guard let text = text(name) else { return nil }
    guard let ms = TimeText.durationMs(text) else {
      throw UsageError("--\(name): '\(text)' is no length of time; write 500ms, 2s, 30m, 10h, 1d or 1h30m")
    }
    return ms
  }

  /// A moment, as RFC 3339 or Unix ms.
  func timeMs(_ name: String) throws(UsageError) -> Int64? {
    guard let text = text(name) else { return nil }
    guard let ms = TimeText.timeMs(text) else {
      throw UsageError("--\(name): '\(text)' is no time; write 2030-01-31T08:00:00Z or Unix milliseconds")
    }
    return ms
  }

  /// One of a few words.
  func choice<Choice: RawRepresentable<String> & CaseIterable>(_ name: String) throws(UsageError) -> Choice? {
    guard let text = text(name) else { return nil }
    guard let choice = Choice(rawValue: text) else {
      let words = Choice.allCases.map(\.rawValue).joined(separator: ", ")
      throw UsageError("--\(name): '\(text)' is none of \(words)")
    }
    return choice
  }

  /// `k=v` pairs of an option that repeats.
  func pairs(_ name: String) throws(UsageError) -> [String: String] {
    var pairs: [String: String] = [:]
    for text in texts(name) {
      let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty else { throw UsageError("--\(name): '\(text)' should be NAME=VALUE") }
      pairs[String(parts[0])] = String(parts[1])
    }
    return pairs
  }
}
