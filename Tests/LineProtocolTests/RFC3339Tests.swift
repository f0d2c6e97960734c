// Times as text and back.

import Foundation
import Primitives
import SeededRandom
import Testing

@testable import LineProtocol

@Suite("RFC 3339 times are read strictly and rounded up")
struct RFC3339Tests {
  private func parse(_ text: String) -> Int64? {
    var text = text
    return text.withUTF8 { parseRFC3339(UnsafeRawBufferPointer($0)) }
  }

  private func write(_ unixMs: Int64) -> String {
    var buffer = ByteBuffer()
    buffer.appendRFC3339(unixMs)
    return text(buffer)
  }

  static let valid: [(text: String, unixMs: Int64)] = [
    ("1970-01-01T00:00:00Z", 0), ("1970-01-01t00:00:00z", 0), ("1970-01-01 00:00:00Z", 0),
    ("1970-01-01T00:00:00+00:00", 0),
    ("1970-01-01T00:00:00-00:00", 0), ("1970-01-01T01:00:00+01:00", 0), ("1969-12-31T23:30:00-00:30", 0),
    ("1969-12-31T23:59:59.999Z", -1), ("1985-04-12T23:20:50.52Z", 482_196_050_520),
    ("1996-12-19T16:39:57-08:00", 851_042_397_000), ("1937-01-01T12:00:27.87+00:20", -1_041_337_172_130),
    ("2000-02-29T00:00:00Z", 951_782_400_000), ("2024-02-29T12:00:00Z", 1_709_208_000_000),
    ("1970-01-01T00:00:00.1Z", 100), ("1970-01-01T00:00:00.12Z", 120), ("1970-01-01T00:00:00.123Z", 123),
    ("1970-01-01T00:00:00.1230Z", 123), ("1970-01-01T00:00:00.1230000000000000000000000000Z", 123),
    ("1970-01-01T00:00:00.1231Z", 124), ("1970-01-01T00:00:00.12300000000000000000000000001Z", 124),
    ("1970-01-01T00:00:00.0000001Z", 1), ("1970-01-01T00:00:00.9990001Z", 1000), ("1970-01-01T00:00:00.9999999Z", 1000),
    ("1969-12-31T23:59:59.9999Z", 0), ("1969-12-31T23:59:59.0001Z", -999),
    ("1990-12-31T23:59:60Z", 662_688_000_000), ("1990-12-31T15:59:60-08:00", 662_688_000_000),
    ("2016-12-31T23:59:60.5Z", 1_483_228_800_500), ("1969-12-31T23:59:60Z", 0), ("1970-01-01T05:29:60+05:30", 0),
    ("0001-01-01T00:00:00Z", -62_135_596_800_000), ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
    ("1970-01-01T23:59:00+23:59", 0), ("1970-01-01T00:00:00.999999999-23:59", 86_341_000),
  ]

  static let invalid = [
    "", "1970", "1970-01-01", "1970-01-01T00:00:00", "1970-01-01T00:00Z", "1970-01-01T00:00:00.Z",
    "1970-01-01T00:00:00,5Z",
    "1970-01-01T00:00:00+0000", "1970-01-01T00:00:00+00", "1970-01-01T00:00:00+24:00", "1970-01-01T00:00:00+00:60",
    "1970-01-01T24:00:00Z", "1970-01-01T00:60:00Z", "1970-01-01T00:00:61Z", "1970-01-01T00:00:60Z",
    "1970-01-01T12:59:60Z",
    "1970-00-01T00:00:00Z", "1970-13-01T00:00:00Z", "1970-01-00T00:00:00Z", "1970-01-32T00:00:00Z",
    "1970-04-31T00:00:00Z",
    "1970-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "2024-02-30T00:00:00Z",
    "0000-01-01T00:00:00Z",
    "10000-01-01T00:00:00Z", "-001-01-01T00:00:00Z", "1970-1-01T00:00:00Z", "1970-01-01T0:00:00Z",
    "1970/01/01T00:00:00Z",
    "1970-01-01T00:00:00ZZ", " 1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z ", "1970-01-01_00:00:00Z",
    "1970-01-01T00:00:00 Z",
    "1970-01-01T00:00:00UTC", "19７0-01-01T00:00:00Z", "1970-01-01T00:00:00.1.2Z", "1970-01-01T00:00:00Z+00:00", "now",
    "19700101T000000Z",
  ]

  @Test("valid times", arguments: valid)
  func accepts(_ row: (text: String, unixMs: Int64)) { #expect(parse(row.text) == row.unixMs) }

  @Test("invalid times", arguments: invalid)
  func refuses(_ text: String) { #expect(parse(text) == nil) }

  @Test("written times are read back, and agree with Foundation", arguments: UInt64(1)...8)
  func roundTrip(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let formatter = ISO8601DateFormatter()
    formatter.formatOptions = [.withInternetDateTime, .withFractionalSeconds]
    for _ in 0..<200 {
      let unixMs = Int64.random(in: -62_135_596_800_000...253_402_300_799_999, using: &random)
      #expect(parse(write(unixMs)) == unixMs, "seed \(seed)")
      // From the Gregorian reform on, before which Foundation's calendar is the Julian one.
      let modern = Int64.random(in: -12_000_000_000...32_000_000_000, using: &random) * 1000
      #expect(
        write(modern) == formatter.string(from: Date(timeIntervalSince1970: Double(modern / 1000))), "seed \(seed)")
    }
  }

  @Test("every day of 800 years follows the one before")
  func everyDay() {
    var unixMs: Int64 = -86_400_000
    for year in 1970..<2770 {
      for month in 1...12 {
        for day in 1...31 {
          let pad = { (value: Int) in value < 10 ? "0\(value)" : "\(value)" }
          guard let found = parse("\(year)-\(pad(month))-\(pad(day))T00:00:00Z") else {
            #expect(day > 28)
            continue
          }
          #expect(found == unixMs + 86_400_000)
          unixMs = found
        }
      }
    }
    #expect(write(unixMs) == "2769-12-31T00:00:00.000Z")
  }

  @Test("a time outside the years 0001 to 9999 is written as the nearest one inside")
  func clamps() {
    #expect(write(.max) == "9999-12-31T23:59:59.999Z")
    #expect(write(.min) == "0001-01-01T00:00:00.000Z")
  }
}
