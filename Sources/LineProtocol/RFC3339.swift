// Times as text: RFC 3339 in, RFC 3339 in UTC out.
//
// Holds: reading rounds up to the next whole millisecond, so that no message is early; the calendar is checked in full.
// Leaves to others: the calendar (`CivilDate`).
// Source: RFC 3339 section 5.6 and 5.7.

import Primitives

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
  guard year >= 1, let date = CivilDate(year: year, month: month, day: day), hour <= 23, minute <= 59, second <= 60
  else { return nil }
  let utcMinutes = Int64(date.daysFromEpoch) * 1440 + Int64(hour * 60 + minute - offsetMinutes)
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

extension ByteBuffer {
  // 0001-01-01T00:00:00.000Z and 9999-12-31T23:59:59.999Z.
  private static var writableMs: ClosedRange<Int64> { -62_135_596_800_000...253_402_300_799_999 }

  /// Appends a time in UTC with milliseconds, `2026-03-01T08:30:00.500Z`, without quotes.
  ///
  /// - Parameter unixMs: the years 0001 to 9999; a time outside is written as the nearest one inside.
  public mutating func appendRFC3339(_ unixMs: Int64) {
    let ms = Int(Swift.min(Swift.max(unixMs, Self.writableMs.lowerBound), Self.writableMs.upperBound))
    let dayMs = 86_400_000
    let msOfDay = (ms % dayMs + dayMs) % dayMs
    let date = CivilDate(daysFromEpoch: (ms - msOfDay) / dayMs)
    appendDigits(date.year, width: 4)
    append(byte: UInt8(ascii: "-"))
    appendDigits(date.month, width: 2)
    append(byte: UInt8(ascii: "-"))
    appendDigits(date.day, width: 2)
    append(byte: UInt8(ascii: "T"))
    appendDigits(msOfDay / 3_600_000, width: 2)
    append(byte: UInt8(ascii: ":"))
    appendDigits(msOfDay / 60_000 % 60, width: 2)
    append(byte: UInt8(ascii: ":"))
    appendDigits(msOfDay / 1000 % 60, width: 2)
    append(byte: UInt8(ascii: "."))
    appendDigits(msOfDay % 1000, width: 3)
    append(byte: UInt8(ascii: "Z"))
  }
}
