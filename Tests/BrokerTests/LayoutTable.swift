// The layout tables in the comments of `Sources/Broker/Decisions`, read from the sources, and payloads made as they say.
//
// Holds: a row is `offset types name`; the offset is blank behind a part of any length. What a table cannot say wrongly without
// a test noticing: the number, the order and the sizes of fields, and where each begins.

import Foundation
import Primitives
import SeededRandom

/// One table.
struct LayoutTable {
  struct Row {
    var offset: Int?
    var types: [String]
    var name: String
  }

  /// Bytes of the types that are of one size.
  static let sizes = ["u8": 1, "u16": 2, "u32": 4, "u64": 8, "i64": 8]
  static let parts: Set<String> = ["bytes", "message", "list", "letter"]

  let file: String
  var rows: [Row] = []
  /// Whether the whole table stands there several times.
  var isRepeated = false

  private static let folder = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../Sources/Broker/Decisions")

  /// Every table by the name of its file, without `.swift`.
  static func all() throws -> [String: LayoutTable] {
    var tables: [String: LayoutTable] = [:]
    for name in try FileManager.default.contentsOfDirectory(atPath: folder.path) where name.hasSuffix(".swift") {
      let table = try LayoutTable(file: name)
      if !table.rows.isEmpty { tables[String(name.dropLast(6))] = table }
    }
    return tables
  }

  private init(file: String) throws {
    self.file = file
    let text = try String(contentsOf: Self.folder.appending(path: file), encoding: .utf8)
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      guard line.hasPrefix("//"), !line.hasPrefix("///") else { break }
      if line.hasPrefix("// As often as") { isRepeated = true }
      guard line.hasPrefix("//   ") else { continue }
      var columns = line.dropFirst(2).split(separator: "  ").map { $0.trimmingCharacters(in: .whitespaces) }
      let offset = columns.first.flatMap { Int($0) }
      if offset != nil { columns.removeFirst() }
      let types = columns.count > 1 ? columns[0].split(separator: " ").map(String.init) : []
      if !types.isEmpty, types.allSatisfy({ Self.sizes[$0] != nil || Self.parts.contains($0) }) {
        rows.append(Row(offset: offset, types: types, name: columns[1...].joined(separator: " ")))
      } else if !rows.isEmpty {
        rows[rows.count - 1].name += " " + columns.joined(separator: " ")
      }
    }
  }

  /// What is wrong with the offsets; nil when each is the sum of the sizes before it.
  var fault: String? {
    var offset: Int? = 0
    for row in rows {
      if row.offset != offset { return "\(file): '\(row.name)' is at \(offset.map(String.init) ?? "no fixed offset")" }
      for type in row.types {
        guard let size = Self.sizes[type] else {
          offset = nil
          break
        }
        offset = offset.map { $0 + size }
      }
    }
    return nil
  }

  /// A payload of this layout, and the values of its fields of one size, in their order.
  func payload(
    _ random: inout SplitMix64, _ tables: [String: LayoutTable]
  ) -> (bytes: [UInt8], values: [UInt64]) {
    var bytes: [UInt8] = []
    var values: [UInt64] = []
    func append(_ value: UInt64, _ type: String) {
      withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0.prefix(Self.sizes[type]!)) }
    }
    var count: UInt64 = 3
    for row in rows {
      for type in row.types {
        switch type {
        case "message": bytes += Self.message(&random)
        case "letter": bytes += tables["DecidedLetter"]!.payload(&random, tables).bytes
        case "bytes": for _ in 0..<count { bytes.append(UInt8.random(in: 97...122, using: &random)) }
        case "list":
          for _ in 0..<count {
            if row.name.contains("DecidedLetter") {
              bytes += tables["DecidedLetter"]!.payload(&random, tables).bytes
            } else {
              for word in row.name.split(whereSeparator: { " ,:;".contains($0) }) where Self.sizes[String(word)] != nil
              {
                append(UInt64.random(in: 1...1000, using: &random), String(word))
              }
            }
          }
        default:
          // Later fields have greater values, so that what a range is made of ascends.
          var value = UInt64(values.count + 1) * (type == "u8" ? 1 : 1000)
          if type != "u8" { value += UInt64.random(in: 0..<1000, using: &random) }
          if row.name.hasPrefix("bytes of") || row.name == "n" || row.name.hasPrefix("n;") {
            count = UInt64.random(in: 1...9, using: &random)
            value = count
          }
          append(value, type)
          values.append(value)
        }
      }
    }
    return (bytes, values)
  }

  private static func message(_ random: inout SplitMix64) -> [UInt8] {
    let body = Array(repeating: UInt8(ascii: "7"), count: Int.random(in: 1...40, using: &random))
    return body.withUnsafeBytes { body in
      let parts = MessageParts(id: UnsafeRawBufferPointer(rebasing: body.prefix(5)), body: body)
      var bytes = [UInt8](repeating: 0, count: parts.recordLength)
      bytes.withUnsafeMutableBytes {
        MessageRecord.write(parts, sequence: 1, dueMs: 2, stampMs: 3, topic: 4, at: $0.baseAddress!)
      }
      return bytes
    }
  }
}
