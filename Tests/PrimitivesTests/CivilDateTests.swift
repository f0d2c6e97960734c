// Dates, from days and back.

import Primitives
import Testing

@Suite("Dates count the days of the Gregorian calendar")
struct CivilDateTests {
  @Test(
    "known dates",
    arguments: [
      (0, 1970, 1, 1), (-1, 1969, 12, 31), (11_016, 2000, 2, 29), (11_017, 2000, 3, 1), (-25_509, 1900, 2, 28),
      (-25_508, 1900, 3, 1), (-719_162, 1, 1, 1), (2_932_896, 9999, 12, 31),
    ] as [(Int, Int, Int, Int)])
  func known(_ row: (days: Int, year: Int, month: Int, day: Int)) {
    #expect(CivilDate(daysFromEpoch: row.days) == CivilDate(year: row.year, month: row.month, day: row.day))
    #expect(CivilDate(year: row.year, month: row.month, day: row.day)?.daysFromEpoch == row.days)
  }

  @Test("each date is the day after the one before it, for eight hundred years")
  func successors() {
    var (year, month, day) = (1599, 12, 31)
    for days in -135_140..<157_054 {
      day += 1
      if CivilDate(year: year, month: month, day: day) == nil { (month, day) = (month + 1, 1) }
      if month == 13 { (year, month) = (year + 1, 1) }
      guard let date = CivilDate(year: year, month: month, day: day), date.daysFromEpoch == days,
        CivilDate(daysFromEpoch: days) == date
      else {
        Issue.record("day \(days) is not \(year)-\(month)-\(day)")
        return
      }
    }
    #expect((year, month, day) == (2399, 12, 31))
  }

  @Test(
    "dates that do not exist", arguments: [(2023, 2, 29), (1900, 2, 29), (2024, 4, 31), (2024, 0, 1), (2024, 1, 0)])
  func missing(_ date: (year: Int, month: Int, day: Int)) {
    #expect(CivilDate(year: date.year, month: date.month, day: date.day) == nil)
  }
}
