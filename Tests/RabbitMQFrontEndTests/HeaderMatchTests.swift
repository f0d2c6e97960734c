// Matching of headers, case by case.

import Testing

@testable import RabbitMQFrontEnd

@Suite("Header match")
struct HeaderMatchTests {
  typealias Member = JSONTree.Member

  struct Case: Sendable, CustomTestStringConvertible {
    let kind: String?
    let wanted: [Member]
    let headers: [Member]
    let isMatch: Bool
    var testDescription: String {
      "\(kind ?? "default") \(JSONTree.object(wanted).shown) in \(JSONTree.object(headers).shown)"
    }
  }

  static let a1 = Member("a", .integer(1))
  static let a2 = Member("a", .integer(2))
  static let b1 = Member("b", .string("1"))
  static let x1 = Member("x-h", .integer(1))
  static func number(_ text: String) -> Member { Member("a", .number(Array(text.utf8))) }
  static let anyA = Member("a", .null)

  static let cases: [Case] = [
    Case(kind: nil, wanted: [], headers: [], isMatch: true),
    Case(kind: "all", wanted: [], headers: [a1], isMatch: true),
    Case(kind: "any", wanted: [], headers: [a1], isMatch: false),
    Case(kind: nil, wanted: [a1, b1], headers: [b1, a1], isMatch: true),
    Case(kind: nil, wanted: [a1, b1], headers: [a1], isMatch: false),
    Case(kind: "any", wanted: [a1, b1], headers: [a1], isMatch: true),
    Case(kind: "any", wanted: [a1, b1], headers: [a2], isMatch: false),
    Case(kind: "all", wanted: [anyA], headers: [a2], isMatch: true),
    Case(kind: "all", wanted: [anyA], headers: [b1], isMatch: false),
    Case(kind: "all", wanted: [a1, x1], headers: [a1], isMatch: true),
    Case(kind: "all-with-x", wanted: [a1, x1], headers: [a1], isMatch: false),
    Case(kind: "all-with-x", wanted: [a1, x1], headers: [a1, x1], isMatch: true),
    Case(kind: "any", wanted: [x1], headers: [x1], isMatch: false),
    Case(kind: "any-with-x", wanted: [x1], headers: [x1], isMatch: true),
    Case(kind: "any-with-x", wanted: [], headers: [x1], isMatch: false),
    Case(
      kind: nil, wanted: [Member("a", .string("1"))], headers: [a1], isMatch: false),
    Case(kind: nil, wanted: [a1], headers: [number("1.0")], isMatch: true),
    Case(kind: nil, wanted: [number("10e-1")], headers: [a1], isMatch: true),
    Case(kind: nil, wanted: [number("1.50")], headers: [number("1.5")], isMatch: true),
    Case(kind: nil, wanted: [a1], headers: [number("1.5")], isMatch: false),
    Case(kind: nil, wanted: [Member("a", .boolean(true))], headers: [a1], isMatch: false),
    Case(kind: nil, wanted: [number("1e400")], headers: [number("2e400")], isMatch: false),
    Case(kind: nil, wanted: [a1], headers: [number("1e400")], isMatch: false),
  ]

  @Test("matches as the table of the headers exchange says", arguments: cases)
  func match(_ one: Case) throws {
    let kind = one.kind.map { [Member("x-match", .string(Text($0)))] } ?? []
    let match = try #require(HeaderMatch(kind + one.wanted))
    let headers = Dictionary(uniqueKeysWithValues: one.headers.map { ($0.key, $0.value) })
    #expect(match.matches(headers) == one.isMatch)
  }

  @Test("refuses another x-match", arguments: [JSONTree.string("some"), .integer(1), .null])
  func refused(_ value: JSONTree) { #expect(HeaderMatch([Member("x-match", value)]) == nil) }
}
