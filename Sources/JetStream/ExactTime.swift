// Times with all of their digits: they tell one stream from another.

import LineProtocol
import Primitives

enum ExactTime {
  /// Unix ns of a time such as `2026-03-01T09:30:00.123456789Z`; nil for what is none.
  static func unixNs(_ text: String) -> Int64? {
    let pointPlace = text.firstIndex(of: ".") ?? text.endIndex
    let fraction = text[pointPlace...].dropFirst().prefix { $0.isASCII && $0.isNumber }
    let whole = text[..<pointPlace] + (pointPlace == text.endIndex ? "" : text[fraction.endIndex...])
    guard fraction.count <= 9, let ms = String(whole).withBytes({ parseRFC3339($0) }) else { return nil }
    let digits = fraction + String(repeating: "0", count: 9 - fraction.count)
    let (ns, isFar) = ms.multipliedReportingOverflow(by: 1_000_000)
    guard !isFar, let fractionNs = Int64(digits) else { return nil }
    let (sum, overflows) = ns.addingReportingOverflow(fractionNs)
    return overflows ? nil : sum
  }
}
