// Times and lengths of time as people write them.

/// Conversions between text and milliseconds. What cannot be read, or overflows, is nil.
enum TimeText {
  private static let unitsMs: [(name: String, ms: Int64)] = [
    ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1),
  ]

  /// `500ms`, `2s`, `30m`, `10h`, `1d`, `1h30m`, or a bare `0`.
  static func durationMs(_ text: String) -> Int64? {
    if text == "0" { return 0 }
    var rest = text[...]
    var sum: Int64 = 0
    guard !rest.isEmpty else { return nil }
    while !rest.isEmpty {
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      rest = rest.dropFirst(digits.count)
      let letters = rest.prefix { $0.isLetter }
      rest = rest.dropFirst(letters.count)
      guard let count = Int64(digits), let unit = unitsMs.first(where: { $0.name == letters }) else { return nil }
      let (part, isPartTooLarge) = count.multipliedReportingOverflow(by: unit.ms)
      let (next, isSumTooLarge) = sum.addingReportingOverflow(part)
      guard !isPartTooLarge, !isSumTooLarge else { return nil }
      sum = next
    }
    return sum
  }

  /// The two largest units of a length of time: `1h 30m`, `2s 500ms`.
  static func duration(ms: Int64) -> String {
    if ms < 0 { return "-" + duration(ms: ms == .min ? .max : -ms) }
    var rest = ms
    var parts: [String] = []
    for unit in unitsMs where rest >= unit.ms && parts.count < 2 {
      parts.append("\(rest / unit.ms)\(unit.name)")
      rest %= unit.ms
    }
    return parts.isEmpty ? "0ms" : parts.joined(separator: " ")
  }

  /// Unix milliseconds, or RFC 3339 with an offset; parts of a millisecond are rounded up.
  static func timeMs(_ text: String) -> Int64? {
    if let ms = Int64(text) { return ms }
    var scanner = DigitScanner(text)
    guard let year = scanner.number(4), scanner.take("-"), let month = scanner.number(2), scanner.take("-"),
      let day = scanner.number(2), scanner.take("Tt "), let hour = scanner.number(2), scanner.take(":"),
      let minute = scanner.number(2), scanner.take(":"), let second = scanner.number(2),
      (1...12).contains(month), (1...daysIn(month: month, year: year)).contains(day), hour < 24, minute < 60,
      second < 60, let fractionMs = scanner.fractionMs(), let offsetMinutes = scanner.offsetMinutes(), scanner.isAtEnd
    else { return nil }
    let minutes = (daysFromEpoch(year: year, month: month, day: day) * 24 + hour) * 60 + minute - offsetMinutes
    return (minutes * 60 + second) * 1_000 + fractionMs
  }

  /// RFC 3339 in UTC with milliseconds.
  static func time(ms: Int64) -> String {
    let days = ms >= 0 ? ms / 86_400_000 : -((86_399_999 - ms) / 86_400_000)
    let (year, month, day) = date(daysFromEpoch: days)
    let rest = ms - days * 86_400_000
    return pad(year, 4) + "-" + pad(month, 2) + "-" + pad(day, 2) + "T" + pad(rest / 3_600_000, 2) + ":"
      + pad(rest / 60_000 % 60, 2) + ":" + pad(rest / 1_000 % 60, 2) + "." + pad(rest % 1_000, 3) + "Z"
  }

  private static func pad(_ number: Int64, _ width: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }

  private static func daysIn(month: Int64, year: Int64) -> Int64 {
    let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
    return month == 2 ? (isLeap ? 29 : 28) : [4, 6, 9, 11].contains(month) ? 30 : 31
  }

  // Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms" (days_from_civil, civil_from_days).
  private static func daysFromEpoch(year: Int64, month: Int64, day: Int64) -> Int64 {
    let shifted = month <= 2 ? year - 1 : year
    let era = (shifted >= 0 ? shifted : shifted - 399) / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  private static func date(daysFromEpoch: Int64) -> (year: Int64, month: Int64, day: Int64) {
    let shifted = daysFromEpoch + 719_468
    let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
    let dayOfEra = shifted - era * 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let shiftedMonth = (5 * dayOfYear + 2) / 153
    let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
    return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
  }
}

/// Takes a time apart from the left.
private struct DigitScanner {
  private var rest: Substring.UTF8View

  init(_ text: String) { rest = text[...].utf8 }

  var isAtEnd: Bool { rest.isEmpty }

  mutating func take(_ choices: String) -> Bool {
    guard let byte = rest.first, choices.utf8.contains(byte) else { return false }
    rest = rest.dropFirst()
    return true
  }

  mutating func number(_ digits: Int) -> Int64? {
    let part = rest.prefix(digits)
    guard part.count == digits, part.allSatisfy({ $0 >= 48 && $0 <= 57 }) else { return nil }
    rest = rest.dropFirst(digits)
    return part.reduce(0) { $0 * 10 + Int64($1 - 48) }
  }

  /// The part behind the point, in ms, rounded up; 0 when there is none.
  mutating func fractionMs() -> Int64? {
    guard take(".") else { return 0 }
    let digits = rest.prefix { $0 >= 48 && $0 <= 57 }
    guard !digits.isEmpty else { return nil }
    rest = rest.dropFirst(digits.count)
    var ms: Int64 = 0
    for place in 0..<3 { ms = ms * 10 + (place < digits.count ? Int64(digits.dropFirst(place).first! - 48) : 0) }
    return digits.dropFirst(3).contains { $0 != 48 } ? ms + 1 : ms
  }

  mutating func offsetMinutes() -> Int64? {
    if take("Zz") { return 0 }
    let isWest = rest.first == UInt8(ascii: "-")
    guard take("+-"), let hours = number(2), take(":"), let minutes = number(2), hours < 24, minutes < 60 else {
      return nil
    }
    return (isWest ? -1 : 1) * (hours * 60 + minutes)
  }
}
