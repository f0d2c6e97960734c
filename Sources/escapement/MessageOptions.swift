// The options that describe a message, shared by `schedule`, `publish` and `reschedule`.

import EscapementClient
import Foundation

enum MessageOptions {
  static let due: [Option] = [
    .value("in", "DURATION", "due after this long: 500ms, 2s, 30m, 10h, 1d, 1h30m"),
    .value("at", "TIME", "due at this time: RFC 3339 or Unix ms"),
    .value("level", "N", "due by the server's level table, from 1"),
  ]

  static let content: [Option] = [
    .value("id", "ID", "the message's id, unique in its topic", standard: "made by the server"),
    .value("body", "JSON", "the body as JSON; '-' reads the standard input", standard: "null"),
    .value("body-text", "TEXT", "the body as a string; '-' reads the standard input"),
    .value("key", "KEY", "the ordering key"),
    .value("tag", "TAG", "the tag"),
    .value("header", "NAME=VALUE", "a header", repeats: true),
    .value("acks", "WHEN", "reply when on 'disk' or in 'memory'", standard: "disk"),
  ]

  /// The due time: exactly one of the options for it must be given.
  static func due(_ options: CommandLineOptions) throws(UsageError) -> Due {
    let given = ["in", "at", "level"].filter(options.has)
    guard given.count == 1 else {
      let problem =
        given.isEmpty
        ? "say when: --in DURATION, --at TIME or --level N" : "only one of --in, --at and --level can hold"
      throw UsageError(problem)
    }
    if let ms = try options.durationMs("in") { return .after(ms: ms) }
    if let ms = try options.timeMs("at") { return .atMs(ms) }
    return .level(Int(try options.integer("level", in: 1...10_000) ?? 1))
  }

  static func body(_ options: CommandLineOptions) throws -> MessageBody {
    if options.has("body") && options.has("body-text") {
      throw UsageError("only one of --body and --body-text can hold")
    }
    if let text = options.text("body-text") {
      return .text(text == "-" ? String(decoding: standardInput(), as: UTF8.self) : text)
    }
    guard let text = options.text("body") else { return .null }
    do {
      return try .json(text == "-" ? standardInput() : Data(text.utf8))
    } catch {
      throw UsageError("--body: \(error) (--body-text sends plain text)")
    }
  }

  private static func standardInput() -> Data { FileHandle.standardInput.readDataToEndOfFile() }
}
