// What grants and patterns mean, by tables and beside a dumb model.

import Primitives
import SeededRandom
import Testing

@testable import Access

@Suite("grants")
struct GrantTests {
  private func matches(_ pattern: String, _ name: String) throws -> Bool {
    try Pattern(Array(pattern.utf8)[...]).matches(name)
  }

  @Test(
    "what a pattern matches",
    arguments: [
      ("orders", ["orders"], ["", "order", "orderss", "Orders"]),
      ("orders.*", ["orders.", "orders.eu", "orders.eu.west"], ["orders", "xorders.eu"]),
      ("*", ["", "a", "%RETRY%g", "a b"], []),
      ("*.dead", [".dead", "a.dead", "a.dead.dead"], ["dead", "a.dead.x"]),
      ("a*b*c", ["abc", "aXbYc", "abbcc", "abcbc"], ["ab", "acb", "abcd"]),
      ("**", ["", "x"], []),
      ("%RETRY%*", ["%RETRY%g"], ["%DLQ%g"]),
      (#"a\*"#, ["a*"], ["ab", #"a\*"#]), (#"a\\b"#, [#"a\b"#], [#"a\\b"#]), (#"a\ b"#, ["a b"], ["a"]),
      ("", [""], ["a"]),
    ] as [(String, [String], [String])])
  func table(_ pattern: String, _ good: [String], _ bad: [String]) throws {
    for name in good { #expect(try matches(pattern, name), "\(pattern) matches \(name)") }
    for name in bad { #expect(try !matches(pattern, name), "\(pattern) does not match \(name)") }
  }

  /// Every way to give each `*` a run.
  private func dumb(_ pattern: ArraySlice<UInt8>, _ name: ArraySlice<UInt8>) -> Bool {
    guard let first = pattern.first else { return name.isEmpty }
    if first == UInt8(ascii: "*") {
      return (name.startIndex...name.endIndex).contains { dumb(pattern.dropFirst(), name[$0...]) }
    }
    return name.first == first && dumb(pattern.dropFirst(), name.dropFirst())
  }

  @Test("patterns match what the dumb model matches", arguments: 0..<16 as Range<UInt64>)
  func model(_ seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    for _ in 0..<500 {
      let pattern = (0..<random.next(below: 7)).map { _ in Array("ab*".utf8)[Int(random.next(below: 3))] }
      let name = (0..<random.next(below: 9)).map { _ in Array("ab".utf8)[Int(random.next(below: 2))] }
      let found = try Pattern(pattern[...]).matches(String(decoding: name, as: UTF8.self))
      #expect(found == dumb(pattern[...], name[...]), "\(pattern) \(name)")
    }
  }

  @Test("a pattern of many stars takes no more than pattern × name steps")
  func bounded() throws {
    let pattern = String(repeating: "a*", count: 200) + "b"
    #expect(try !matches(pattern, String(repeating: "a", count: 20_000)))
  }

  private static let rightsOfShop: [(right: Right, kind: ResourceKind, name: String, isAllowed: Bool)] = [
    (.schedule, .topic, "orders.eu", true), (.schedule, .queue, "orders.eu", true),
    (.schedule, .topic, "payments", false), (.cancel, .topic, "orders.eu", true),
    (.consume, .topic, "orders.eu", false),
    (.consume, .queue, "mail", true), (.consume, .topic, "mail", false), (.inspect, .group, "x", true),
    (.inspect, .topic, "x", true), (.admin, .topic, "orders.eu", false), (.admin, .exchange, "", true),
    (.admin, .exchange, "x", false), (.schedule, .topic, "a:b", true), (.schedule, .topic, "queue:c", false),
    (.schedule, .queue, "c:d", true),
  ]

  @Test("rights hold for the kinds and names that they are given for", arguments: rightsOfShop.indices)
  func identity(_ index: Int) throws {
    let texts = [
      "schedule,cancel:orders.*", "consume:queue:mail", "inspect:*", "admin:exchange:", #"schedule:a\:b"#,
      "schedule:queue:c:d",
    ]
    let shop = Identity(name: "shop", grants: try texts.map { try Grant($0) })
    let (right, kind, name, isAllowed) = Self.rightsOfShop[index]
    #expect(name.withBytes { shop.allows(right, kind, $0) } == isAllowed)
  }

  @Test("what is about the whole server needs the right on all names of all kinds")
  func everywhere() throws {
    func identity(_ texts: String...) throws -> Identity {
      Identity(name: "x", grants: try texts.map { try Grant($0) })
    }
    #expect(try identity("inspect:*").allowsEverywhere(.inspect))
    #expect(try !identity("inspect:*").allowsEverywhere(.admin))
    #expect(try !identity("inspect:topic:*").allowsEverywhere(.inspect))
    #expect(
      try identity("inspect:topic:*", "all:queue:*", "inspect:exchange:*", "inspect:group:*").allowsEverywhere(.inspect)
    )
    for right in Right.allCases { #expect(Identity.unrestricted(name: "x").allowsEverywhere(right)) }
    #expect("x".withBytes { Identity.unrestricted(name: "x").allows(.admin, .group, $0) })
    #expect("x".withBytes { !Identity(name: "x", grants: []).allows(.inspect, .topic, $0) })
  }

  @Test(
    "a bad grant says what is wrong",
    arguments: [
      ("", "is no grant"), ("schedule", "is no grant"), ("schedule:", "has no pattern"),
      ("write:*", "'write' is no right"),
      (":*", "'' is no right"), ("schedule,:*", "'' is no right"), ("Schedule:*", "'Schedule' is no right"),
      ("schedule:topics:x", "'topics' is no kind of name"), ("schedule:a:b", "'a' is no kind of name"),
      (#"schedule:a\"#, "ends with a '\\'"), (#"schedule:topic:\"#, "ends with a '\\'"),
    ])
  func bad(_ text: String, _ message: String) {
    #expect { try Grant(text) } throws: { "\($0)".contains(message) }
  }
}

extension Pattern {
  func matches(_ name: String) -> Bool { name.withBytes { matches($0) } }
}
