// Times as RFC 3339 text, read.
//
// Holds: reading rounds up to the next whole millisecond, so that no message is early; the calendar is checked in full.
// Source: RFC 3339 section 5.6 and 5.7; days from civil dates after Howard Hinnant's `days_from_civil`.

/// Reads a time such as `2026-03-01T09:30:00.5+01:00`.
///
/// `T`, `t` or a space stands between date and time; the offset is required (`Z`, `z`, `±hh:mm`); a fraction may have any
/// number of digits. Second 60 is taken where a leap second can be, at 23:59:60 UTC, and is the second that follows.
///
/// - Returns: Unix milliseconds, rounded up; nil when the text is not a time of the years 0001 to 9999.
/// - Complexity: O(length).
public func parseRFC3339(_ text: UnsafeRawBufferPointer) -> Int64? {
  var reader = TimeReader(text)
  guard let year = reader.number(4), reader.take("-"), let month = reader.number(2), reader.take("-"),
    let day = reader.number(2), reader.take("T") || reader.take("t") || reader.take(" "),
    let hour = reader.number(2), reader.take(":"), let minute = reader.number(2), reader.take(":"),
    let second = reader.number(2), let fractionMs = reader.fractionMsRoundedUp(),
    let offsetMinutes = reader.offsetMinutes(), reader.isAtEnd
  else { return nil }
  guard year >= 1, let days = Calendar.daysFromEpoch(year: year, month: month, day: day),
    hour <= 23, minute <= 59, second <= 60
  else { return nil }
  let utcMinutes = Int64(days) * 1440 + Int64(hour * 60 + minute - offsetMinutes)
  // 1439 is 23:59. Days before 1970 have negative minutes.
  if second == 60, (utcMinutes % 1440 + 1440) % 1440 != 1439 { return nil }
  return (utcMinutes * 60 + Int64(second)) * 1000 + Int64(fractionMs)
}

/// Walks through the text of a time.
private struct TimeReader {
  private let text: UnsafeRawBufferPointer
  private var place = 0

  init(_ text: UnsafeRawBufferPointer) { self.text = text }

  var isAtEnd: Bool { place == text.count }

  mutating func take(_ letter: Unicode.Scalar) -> Bool {
    guard place < text.count, text[place] == UInt8(ascii: letter) else { return false }
    place += 1
    return true
  }

  mutating func digit() -> Int? {
    guard place < text.count, text[place] &- UInt8(ascii: "0") < 10 else { return nil }
    place += 1
    return Int(text[place - 1] - UInt8(ascii: "0"))
  }

  mutating func number(_ digits: Int) -> Int? {
    var value = 0
    for _ in 0..<digits {
      guard let next = digit() else { return nil }
      value = value * 10 + next
    }
    return value
  }

  // 0 to 1000; nil for a point without digits.
  mutating func fractionMsRoundedUp() -> Int? {
    guard take(".") else { return 0 }
    guard var ms = digit() else { return nil }
    ms = ms * 100 + (digit() ?? 0) * 10
    ms += digit() ?? 0
    var isFiner = false
    while let next = digit() { isFiner = isFiner || next != 0 }
    return ms + (isFiner ? 1 : 0)
  }

  mutating func offsetMinutes() -> Int? {
    if take("Z") || take("z") { return 0 }
    let isEast = take("+")
    guard isEast || take("-"), let hours = number(2), take(":"), let minutes = number(2), hours <= 23, minutes <= 59
    else { return nil }
    return isEast ? hours * 60 + minutes : -(hours * 60 + minutes)
  }
}

/// The proleptic Gregorian calendar.
private enum Calendar {
  /// Days from 1970-01-01; nil when there is no such day.
  static func daysFromEpoch(year: Int, month: Int, day: Int) -> Int? {
    guard 1...12 ~= month, day >= 1, day <= daysInMonth(year, month) else { return nil }
    // Years begin in March here, so that the leap day is the last one.
    let shifted = month <= 2 ? year - 1 : year
    let era = (shifted >= 0 ? shifted : shifted - 399) / 400
    let yearOfEra = shifted - era * 400
    let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
    return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
  }

  private static func daysInMonth(_ year: Int, _ month: Int) -> Int {
    switch month {
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }
}
