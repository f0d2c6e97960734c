// A setting of `serve`: one row of the table that makes the flag, the environment variable, the key of the file, the help,
// `--print-settings` and the reference page.
//
// Holds: a value is text wherever it comes from, and is read by one function whatever the source; what is shown is read from
// the settings themselves, so that it is what holds.
// Leaves to others: the rows (`SettingsTable`), which source counts (`SettingSources`).

/// Why a value cannot be taken, without saying where it stands.
struct BadValue: Error {
  var reason: String

  init(_ reason: String) { self.reason = reason }
}

struct Setting: Sendable {
  /// What a value looks like.
  enum Form: Sendable {
    /// Text; what stands for it in the help.
    case text(String)
    case number(ClosedRange<Int64>, Unit)
    case words([String])
    /// `on` or `off`; a flag without a value says `on`.
    case flag
  }

  enum Unit: Sendable { case count, ms, bytes }

  /// As it is written in a flag, without dashes, and in the file.
  let name: String
  let form: Form
  /// In a line.
  let meaning: String
  /// Puts a value into the settings, over the one that is there.
  let set: @Sendable (inout ServeSettings, String) throws(BadValue) -> Void
  /// The value that holds.
  let shown: @Sendable (ServeSettings) -> String
  /// The default in words, where it is not a value.
  var standardInWords: String?

  /// The environment variable.
  var variable: String { Self.variablePrefix + String(name.map { $0 == "-" ? "_" : Character($0.uppercased()) }) }
  static let variablePrefix = "ESCAPEMENT_"

  /// The default.
  var standard: String { standardInWords ?? shown(ServeSettings()) }

  var option: Option {
    switch form {
    case .flag: .flag(name, meaning)
    case .text(let placeholder): .value(name, placeholder, meaning, standard: standard.isEmpty ? nil : standard)
    case .number: .value(name, "N", meaning, standard: standard)
    case .words(let words): .value(name, words.joined(separator: "|"), meaning, standard: standard)
    }
  }

  /// The values it takes, for the reference page.
  var values: String {
    switch form {
    case .flag: "on, off"
    case .text(let placeholder): placeholder
    case .words(let words): words.joined(separator: ", ")
    case .number(let bounds, let unit):
      (bounds.upperBound == .max ? "from \(bounds.lowerBound)" : "\(bounds.lowerBound) to \(bounds.upperBound)")
        + (unit == .count ? "" : unit == .ms ? " ms" : " bytes")
    }
  }

  static func text(
    _ name: String, _ placeholder: String, _ meaning: String, standard: String? = nil,
    set: @escaping @Sendable (inout ServeSettings, String) throws(BadValue) -> Void,
    shown: @escaping @Sendable (ServeSettings) -> String
  ) -> Setting {
    Setting(
      name: name, form: .text(placeholder), meaning: meaning, set: set, shown: shown, standardInWords: standard)
  }

  static func number<Number: FixedWidthInteger & Sendable>(
    _ name: String, _ bounds: ClosedRange<Int64>, _ unit: Unit, _ meaning: String,
    _ field: WritableKeyPath<ServeSettings, Number> & Sendable
  ) -> Setting {
    Setting(
      name: name, form: .number(bounds, unit), meaning: meaning,
      set: { (settings, text) throws(BadValue) in
        settings[keyPath: field] = Number(try SettingText.number(text, bounds, unit))
      }, shown: { "\($0[keyPath: field])" })
  }

  /// One of the raw values of an enumeration.
  static func words<Word: RawRepresentable<String> & CaseIterable & Sendable>(
    _ name: String, _ meaning: String, _ field: WritableKeyPath<ServeSettings, Word> & Sendable
  ) -> Setting {
    let words = Word.allCases.map(\.rawValue)
    return Setting(
      name: name, form: .words(words), meaning: meaning,
      set: { (settings, text) throws(BadValue) in
        guard let word = Word(rawValue: text) else {
          throw BadValue("'\(text)' is none of \(words.joined(separator: ", "))")
        }
        settings[keyPath: field] = word
      }, shown: { $0[keyPath: field].rawValue })
  }

  static func onOff(
    _ name: String, _ meaning: String, isFlag: Bool = false, _ field: WritableKeyPath<ServeSettings, Bool> & Sendable
  ) -> Setting {
    Setting(
      name: name, form: isFlag ? .flag : .words(["on", "off"]), meaning: meaning,
      set: { (settings, text) throws(BadValue) in settings[keyPath: field] = try SettingText.onOff(text) },
      shown: { $0[keyPath: field] ? "on" : "off" })
  }
}

/// Values as people write them.
enum SettingText {
  /// A whole number; with a unit, also lengths of time (`1h30m`) or sizes (`64MiB`).
  static func number(_ text: String, _ bounds: ClosedRange<Int64>, _ unit: Setting.Unit) throws(BadValue) -> Int64 {
    if let number = Int64(text) ?? inUnits(text, unit), bounds.contains(number) { return number }
    let wanted =
      switch unit {
      case .count: ""
      case .ms: "; milliseconds, or a length of time such as 500ms, 10m or 1h30m"
      case .bytes: "; bytes, or a size such as 64KiB, 16MiB or 1GiB"
      }
    throw BadValue("'\(text)' is no whole number from \(bounds.lowerBound) to \(bounds.upperBound)\(wanted)")
  }

  private static func inUnits(_ text: String, _ unit: Setting.Unit) -> Int64? {
    switch unit {
    case .count: return nil
    case .ms: return TimeText.durationMs(text)
    case .bytes:
      let scales: [(name: String, shift: Int64)] = [("KiB", 10), ("MiB", 20), ("GiB", 30), ("TiB", 40)]
      guard let scale = scales.first(where: { text.hasSuffix($0.name) }), let count = Int64(text.dropLast(3)) else {
        return nil
      }
      let (bytes, isTooLarge) = count.multipliedReportingOverflow(by: 1 << scale.shift)
      return isTooLarge ? nil : bytes
    }
  }

  static func onOff(_ text: String) throws(BadValue) -> Bool {
    switch text {
    case "on", "true": return true
    case "off", "false": return false
    default: throw BadValue("'\(text)' is none of on, off")
    }
  }
}
