// Who imports whom: the sources, Package.swift and the picture in ARCHITECTURE.md say the same.

import Foundation
import Testing

@Suite("who imports whom")
struct ImportTests {
  @Test("Package.swift is understood")
  func manifestIsRead() {
    let names = Set(Target.all.map(\.name))
    #expect(Target.all.count > 20 && names.count == Target.all.count)
    for folder in Repository.names(in: "Sources") { #expect(names.contains(folder), "Sources/\(folder) is no target") }
    for target in Target.all {
      #expect(names.isSuperset(of: target.dependencies), "\(target.name) depends on what is no target")
      #expect(Repository.exists(target.folder), "\(target.folder) is not there")
    }
  }

  @Test("what a target imports it declares, and what it declares it imports", arguments: Target.all)
  func importsAreDeclared(_ target: Target) throws {
    let ours = Dictionary(uniqueKeysWithValues: Target.all.map { ($0.name, $0) })
    var imported: Set<String> = []
    for path in try Repository.swiftFiles(below: target.folder) {
      for line in try Repository.text(path).matches(of: Self.importLine) {
        let name = String(line.1)
        guard ours[name] != nil else { continue }
        imported.insert(name)
        #expect(target.dependencies.contains(name), "\(path) imports \(name), which Package.swift does not say")
      }
    }
    for name in target.dependencies where !imported.contains(name) {
      // A program is no module to import: whoever tests it needs it built, and runs it.
      let isRun = target.kind == .tests && ours[name]?.kind == .program
      #expect(isRun, "\(target.name) depends on \(name) and does not import it")
    }
  }

  @Test("the table of modules in ARCHITECTURE.md is what Package.swift declares")
  func tableIsTrue() throws {
    let rows = try Repository.table("| module | imports |", in: "ARCHITECTURE.md")
    let declared = Target.all.filter(\.isInSources)
    #expect(rows.map { $0[0][0] }.sorted() == declared.map(\.name).sorted())
    for target in declared {
      let imports = rows.first { $0[0] == [target.name] }?[1]
      #expect(imports.map(Set.init) == Set(target.dependencies), "the row of \(target.name)")
    }
  }

  @Test("the picture of modules in ARCHITECTURE.md names each once, and imports run downward in it")
  func pictureIsTrue() throws {
    let names = Set(Target.all.filter(\.isInSources).map(\.name))
    let lines = try Self.picture()
    var lineOf: [String: Int] = [:]
    for (number, line) in lines.enumerated() {
      for word in line.split(whereSeparator: \.isWhitespace).map(String.init) where names.contains(word) {
        #expect(lineOf.updateValue(number, forKey: word) == nil, "\(word) stands in the picture twice")
      }
    }
    for target in Target.all where target.isInSources {
      guard let line = lineOf[target.name] else {
        Issue.record("\(target.name) is not in the picture")
        continue
      }
      for name in target.dependencies {
        #expect(
          lineOf[name] ?? 0 > line, "\(target.name) imports \(name), which does not stand below it in the picture")
      }
    }
  }

  private nonisolated(unsafe) static let importLine =
    /(?m)^\s*(?:@\w+ )?(?:public |package |internal |private )?import (?:(?:struct|class|enum|func|var|let|protocol) )?(\w+)/

  /// The lines of the drawing before that table.
  private static func picture() throws -> [Substring] {
    let text = try Repository.text("ARCHITECTURE.md")
    let before = text[..<(text.range(of: "| module | imports |")?.lowerBound ?? text.startIndex)]
    let blocks = before.components(separatedBy: "```")
    return blocks.count > 1 ? blocks[blocks.count - 2].split(separator: "\n") : []
  }
}
