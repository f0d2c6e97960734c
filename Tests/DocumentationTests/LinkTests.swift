// What the pages point at is there: files, headings, sources, options, operations, error codes.

import Foundation
import LineProtocol
import Testing

@testable import Node
@testable import Server
@testable import escapement

@Suite("what the pages name exists")
struct LinkTests {
  @Test("links lead to files and headings", arguments: Repository.pages)
  func links(_ page: String) throws {
    let text = try Repository.text(page).replacing(/(?s)```.*?```/, with: "")
    for link in text.matches(of: /\]\(([^)\s]+)\)/).map(\.1) where !link.contains("://") {
      let parts = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
      let folder = page.contains("/") ? "docs/" : ""
      let path = parts[0].isEmpty ? page : folder + parts[0]
      #expect(Repository.exists(path), "\(page) links to \(link)")
      if parts.count == 2 {
        let anchors = try Repository.text(path).matches(of: /(?m)^#+ (.+)$/).map { Self.anchor(String($0.1)) }
        #expect(anchors.contains(String(parts[1])), "\(page) links to the heading \(link)")
      }
    }
  }

  /// As GitHub makes it from a heading.
  private static func anchor(_ heading: String) -> String {
    heading.lowercased().filter { $0.isLetter || $0.isNumber || $0 == " " || $0 == "-" }
      .replacingOccurrences(of: " ", with: "-")
  }

  @Test("the sources that ARCHITECTURE.md names are there")
  func sources() throws {
    let text = try Repository.text("ARCHITECTURE.md")
    let files = Set(try Repository.swiftFiles(below: "Sources"))
    for name in text.matches(of: /`([A-Z]\w+(?:\/[A-Z][\w+]*)+)`/).map({ String($0.1) }) {
      #expect(files.contains("Sources/\(name).swift") || Repository.exists(name), "\(name)")
    }
    for name in text.matches(of: /`([A-Z]\w*\+\w+)`/).map({ String($0.1) }) {
      #expect(files.contains { $0.hasSuffix("/\(name).swift") }, "\(name)")
    }
    for name in text.matches(of: /`([\w+\/]+\.swift)`/).map({ String($0.1) }) {
      #expect(files.contains { $0.hasSuffix("/\(name)") }, "\(name)")
    }
    for path in text.matches(of: /`((?:Tests|Examples|Benchmarks)\/[\w\/.-]+)`/).map({ String($0.1) }) {
      #expect(Repository.exists(path), "\(path)")
    }
  }

  @Test("the options that the pages name are the program's", arguments: Repository.pages)
  func options(_ page: String) throws {
    let known = Set(Program.commands.flatMap(\.options).map(\.name) + ["help", "version"])
    // Of other programs: the examples, the comparison with RabbitMQ, swift format and build, curl, systemctl.
    var others: Set = [
      "after", "binary", "seed", "strict", "rotate", "static-swift-stdlib", "product", "cacert", "now",
    ]
    // Those of the benchmarks, where their commands declare them.
    for path in try Repository.swiftFiles(below: "Benchmarks") {
      for option in try Repository.text(path).matches(of: /(?:Option|onOff)\(\s*"([a-z-]+)"/) {
        others.insert(String(option.1))
      }
    }
    for option in try Repository.text(page).matches(of: /(?:^|[\s`(])--([a-z][a-z-]*[a-z])(?![a-z-]*…)/).map({
      String($0.1)
    }) {
      #expect(known.contains(option) || others.contains(option), "\(page) names --\(option)")
    }
  }

  @Test("docs/protocol.md has every operation, and names no other")
  func operations() throws {
    let text = try Repository.text("docs/protocol.md")
    let names = OperationTable.all.map(\.name) + NodeOperation.allCases.map(\.rawValue)
    for name in names {
      let last = name.split(separator: ".").last.map(String.init) ?? name
      #expect(text.contains("`\(name)`") || text.contains("`\(last)`"), "\(name)")
    }
    for row in text.matches(of: /(?m)^\| `([a-zA-Z.]+)`(?: \/ `(\w+)`)* \| .* \|.*\|$/) {
      #expect(names.contains(String(row.1)) || WireError(rawValue: String(row.1)) != nil, "\(row.1)")
    }
  }

  @Test("the table of error codes in docs/protocol.md is that of the code")
  func codes() throws {
    let rows = try Repository.table("| code | when |", in: "docs/protocol.md")
    #expect(rows.flatMap { $0[0] }.sorted() == WireError.allCases.map(\.rawValue).sorted())
  }
}
