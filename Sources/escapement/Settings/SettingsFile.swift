// The file of settings: one JSON object whose keys are the names of settings.
//
//     {"data": "/var/lib/escapement", "max-line-bytes": "4MiB", "tick-ms": 5, "auto-create": false}
//
// Holds: numbers may be numbers or text with a unit, on and off may be true and false; everything else is text.

import Foundation
import LineProtocol
import Primitives

enum SettingsFile {
  static let bytesMax = 1 << 20

  /// The settings that a file has, as text, in its order.
  static func read(_ path: String) throws(UsageError) -> [(setting: Setting, text: String)] {
    guard let data = FileManager.default.contents(atPath: path) else {
      throw UsageError("--config: '\(path)' cannot be read")
    }
    guard data.count <= bytesMax else { throw UsageError("--config: '\(path)' is larger than \(bytesMax) bytes") }
    return try parse(Array(data), path)
  }

  /// - Parameter path: for messages.
  static func parse(_ bytes: [UInt8], _ path: String) throws(UsageError) -> [(setting: Setting, text: String)] {
    let document: JSONDocument
    do throws(JSONDocument.Fault) {
      document = try bytes.withBytes { (bytes) throws(JSONDocument.Fault) in try JSONDocument(bytes) }
    } catch {
      throw UsageError("\(path): \(error)")
    }
    return try document.withMembers { (members) throws(UsageError) in
      var found: [(setting: Setting, text: String)] = []
      while let (key, value) = members.next() {
        let setting = try setting(String(decoding: key, as: UTF8.self), path)
        guard let text = text(of: value, for: setting) else {
          throw UsageError("\(path): \(setting.name): \(kinds(setting)) was expected")
        }
        found.append((setting, text))
      }
      return found
    }
  }

  private static func setting(_ key: String, _ path: String) throws(UsageError) -> Setting {
    if key == ResolvedSettings.config { throw UsageError("\(path): a file of settings cannot name another one") }
    if let setting = SettingsTable.all.first(where: { $0.name == key }) { return setting }
    let names = SettingsTable.all.map(\.name).filter { $0 != ResolvedSettings.config }
    throw UsageError("\(path): unknown setting '\(key)'; the nearest is '\(NearestName.of(key, among: names)!)'")
  }

  /// The value as text; nil when it is of a kind that the setting does not take.
  private static func text(of value: JSONValue, for setting: Setting) -> String? {
    switch (value.kind, setting.form) {
    case (.string, _): String(decoding: value.string()!, as: UTF8.self)
    case (.number, .number): String(decoding: value.raw, as: UTF8.self)
    case (.true, .flag), (.true, .words(["on", "off"])): "on"
    case (.false, .flag), (.false, .words(["on", "off"])): "off"
    default: nil
    }
  }

  private static func kinds(_ setting: Setting) -> String {
    switch setting.form {
    case .number: "a number, or a string"
    case .flag, .words(["on", "off"]): "true, false, or a string"
    case .text, .words: "a string"
    }
  }
}
