// What the commands print: JSON lines for machines, tables for people.

import Foundation

enum Output {
  /// Prints a line and flushes it, so that a reader behind a pipe sees it at once. False when nobody reads any more.
  @discardableResult
  static func line(_ text: String) -> Bool {
    print(text)
    return fflush(nil) == 0
  }

  static func json(_ value: some Encodable) throws -> String {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    return String(decoding: try encoder.encode(value), as: UTF8.self)
  }

  static func quoted(_ text: String) throws -> String { try json(text) }

  /// A name from outside as a terminal may show it: without control characters, which could be commands to it.
  static func printable(_ name: String) -> String {
    String(
      String.UnicodeScalarView(name.unicodeScalars.map { $0.properties.generalCategory == .control ? "\u{FFFD}" : $0 }))
  }

  /// Columns as wide as their widest cell; all but the first are aligned to the right.
  static func table(_ header: [String], _ rows: [[String]]) -> String {
    let widths = header.indices.map { column in ([header] + rows).map { $0[column].count }.max() ?? 0 }
    return ([header] + rows).map { row in
      row.indices.map { $0 == 0 ? row[$0].padded(to: widths[$0]) : row[$0].rightAligned(to: widths[$0]) }
        .joined(separator: "  ")
    }.joined(separator: "\n")
  }
}
