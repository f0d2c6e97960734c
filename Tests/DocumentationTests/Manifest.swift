// The targets of Package.swift, read as text: SwiftPM itself cannot be asked while it runs the tests.

import Foundation
import Testing

/// A target and what it depends on.
struct Target: CustomTestStringConvertible, Sendable {
  enum Kind { case library, program, tests }
  var name: String
  var kind: Kind
  var dependencies: [String]
  /// Where its sources are.
  var folder: String

  var testDescription: String { name }
  /// Whether it is a part of the product rather than a test, an example or a benchmark.
  var isInSources: Bool { folder.hasPrefix("Sources/") }

  /// In the order of the manifest.
  static let all: [Target] = {
    guard let text = try? Repository.text("Package.swift"), let start = text.range(of: "\n  targets: [") else {
      return []
    }
    let call =
      /(?:^|[\s(])(?<function>library|program|tests|\.target|\.testTarget|\.executableTarget|\.systemLibrary)\(/
    let targets = text[start.upperBound...]
    return targets.matches(of: call).compactMap { read(String($0.function), targets[$0.range.upperBound...]) }
  }()

  /// Reads the arguments of a call up to its closing parenthesis.
  private static func read(_ function: String, _ rest: Substring) -> Target? {
    var depth = 1
    let arguments = rest.prefix { character in
      depth += character == "(" ? 1 : character == ")" ? -1 : 0
      return depth > 0
    }
    .replacing(/exclude: \[[^\]]*\]/, with: "")
    guard let name = arguments.firstMatch(of: /"(\w+)"/)?.1 else { return nil }
    let list = arguments.firstMatch(of: /\[([^\]]*)\]/)?.1 ?? ""
    let path = arguments.firstMatch(of: /path: "([^"]+)"/)?.1
    let kind: Kind =
      switch function {
      case "program", ".executableTarget": .program
      case "tests", ".testTarget": .tests
      default: .library
      }
    return Target(
      name: String(name), kind: kind, dependencies: list.matches(of: /"(\w+)"/).map { String($0.1) },
      folder: path.map(String.init) ?? (kind == .tests ? "Tests/\(name)" : "Sources/\(name)"))
  }
}
