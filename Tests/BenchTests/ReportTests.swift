// A report in each of its forms.

import Foundation
import Testing

@testable import bench

@Suite("report")
struct ReportTests {
  private static func sample() -> Report {
    var report = Report(Flags(WheelBenchmark.command, []), title: "Fast & <late>", meaning: "What \"it\" is.")
    var histogram = LatencyHistogram()
    for value in [-5, 1000, 2_000_000, 3_000_000_000] as [Int64] { histogram.record(value) }
    report.add("lateness", histogram)
    var series = RateSeries(startNs: 0)
    for second in 0..<5 { series.add(100, atNs: Int64(second) * 100_000_000) }
    report.add("received", series)
    let bars: [Report.Comparison.Bar] = [
      .init(name: "ours", value: 10, isOurs: true), .init(name: "theirs", value: 25),
    ]
    report.comparisons = [.init(title: "Cost", unit: "ns", isLowBetter: true, bars: bars)]
    report.check(false, "1 came early")
    return report
  }

  @Test("the page needs nothing from elsewhere, and quotes what would be markup")
  func page() {
    let page = Self.sample().page
    #expect(!page.contains("://") && !page.contains("src=") && !page.contains("<script"))
    #expect(page.contains("Fast &amp; &lt;late&gt;") && !page.contains("<late>"))
    #expect(page.contains("prefers-color-scheme:dark"))
    #expect(page.contains("2.50 ×") && page.contains("1 came early"))
  }

  @Test("the picture has a beginning and an end for each element")
  func picture() {
    let picture = Self.sample().picture
    for element in ["svg", "g", "text", "style"] {
      let opened = picture.matches(of: try! Regex("<\(element)[ >]")).count
      #expect(opened > 0 && opened == picture.components(separatedBy: "</\(element)>").count - 1, "\(element)")
    }
  }

  @Test("what is early is counted, in the text and for programs")
  func early() throws {
    let report = Self.sample()
    #expect(report.text.contains("early") && report.text.contains("FAULT: 1 came early"))
    let read = try #require(try JSONSerialization.jsonObject(with: Data(report.json.utf8)) as? [String: Any])
    let latencies = try #require(read["latencies"] as? [[String: Any]])
    let histogram = try #require(latencies[0]["histogram"] as? [String: Any])
    #expect(
      histogram["early"] as? Int == 1 && histogram["count"] as? Int == 4 && histogram["maxNs"] as? Int == 3_000_000_000)
  }

  @Test(
    "times are written in the unit that fits",
    arguments: [
      (850, "850 ns"), (1230, "1.23 µs"), (999_600, "1.00 ms"), (45_600_000, "45.6 ms"), (12_300_000_000, "12.3 s"),
    ] as [(Int64, String)])
  func times(_ ns: Int64, _ text: String) { #expect(Figures.time(ns: ns) == text) }
}
