// Every number that a page quotes from a constant, held against the constant.
//
// To quote one more: a line in a table of `Quotes`, which is the words around the number with the number taken from the code.
// A test that fails prints what the page should say; either the page or the words here are to be changed.
// Leaves to others: measured numbers, and those of other products.

import Foundation
import Testing

@Suite("numbers in the pages are those of the code")
struct NumberTests {
  @Test("README.md", arguments: Quotes.readme)
  func readme(_ words: String) throws { try check("README.md", words) }

  @Test("CONTRIBUTING.md", arguments: Quotes.contributing)
  func contributing(_ words: String) throws { try check("CONTRIBUTING.md", words) }

  @Test("ARCHITECTURE.md", arguments: Quotes.architecture)
  func architecture(_ words: String) throws { try check("ARCHITECTURE.md", words) }

  @Test("docs/protocol.md", arguments: Quotes.lineProtocol)
  func lineProtocol(_ words: String) throws { try check("docs/protocol.md", words) }

  @Test("docs/rocketmq.md", arguments: Quotes.rocketMQ)
  func rocketMQ(_ words: String) throws { try check("docs/rocketmq.md", words) }

  @Test("docs/rabbitmq.md", arguments: Quotes.rabbitMQ)
  func rabbitMQ(_ words: String) throws { try check("docs/rabbitmq.md", words) }

  private func check(_ page: String, _ words: String) throws {
    let text = try Repository.text(page).split(whereSeparator: \.isWhitespace).joined(separator: " ")
    let says = text.contains(words)
    #expect(says, "\(page) does not say: \(words)")
  }
}

/// Numbers as the pages write them.
enum Written {
  /// 50 000
  static func spaced(_ number: some BinaryInteger) -> String {
    let digits = String(number)
    return String(
      digits.enumerated().flatMap { place, digit in
        place > 0 && (digits.count - place) % 3 == 0 ? [" ", digit] : [digit]
      })
  }

  /// 64 MiB, 128 KiB, 24 bytes
  static func bytes(_ count: Int) -> String {
    if count % (1 << 20) == 0 { return "\(count >> 20) MiB" }
    return count % (1 << 10) == 0 ? "\(count >> 10) KiB" : "\(count) bytes"
  }

  /// 1 M
  static func millions(_ count: Int) -> String { "\(count / 1_000_000) M" }

  /// 10 years, 7 days, 15 minutes, 6 s
  static func time(_ ms: Int64) -> String {
    for (unit, unitMs): (String, Int64) in [("years", 365 * 86_400_000), ("days", 86_400_000), ("minutes", 60_000)]
    where ms % unitMs == 0 { return "\(ms / unitMs) \(unit)" }
    return ms % 1000 == 0 ? "\(ms / 1000) s" : "\(ms) ms"
  }

  /// In words, as far as the pages need them.
  static func word(_ number: Int) -> String {
    [1: "one", 4: "a quarter", 8: "an eighth", 10: "ten"][number] ?? "\(number)"
  }

  /// A number that has no name in the code: what the one group of a pattern finds, the same wherever it matches.
  static func literal(_ pattern: String) -> String {
    guard let files = try? Repository.swiftFiles(below: "Sources"), let regex = try? Regex(pattern) else { return "?" }
    let found = files.flatMap { path in
      ((try? Repository.text(path)) ?? "").matches(of: regex).map { $0.output[1].substring.map(String.init) ?? "?" }
    }
    let numbers = Set(found.map { $0.replacing("_", with: "") })
    return numbers.count == 1 ? numbers.first! : "one number for \(pattern), but \(numbers.sorted())"
  }
}
