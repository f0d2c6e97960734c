// `serve`: settings from the command line, then the server on the main thread.

import Broker
import Engine
import Foundation
import Journal
import Platform
import Server

/// A setting that is a whole number: its option, its bounds, and where it goes.
private struct NumberSetting: Sendable {
  let option: Option
  let bounds: ClosedRange<Int64>
  let set: @Sendable (inout ServerSettings, Int64) -> Void

  /// - Parameter standard: what the help says holds without it; the setting's own default unless given.
  init<Number: FixedWidthInteger & Sendable>(
    _ name: String, _ bounds: ClosedRange<Int64>, _ meaning: String,
    _ setting: WritableKeyPath<ServerSettings, Number> & Sendable, standard: String? = nil
  ) {
    option = .value(name, "N", meaning, standard: standard ?? "\(ServerSettings()[keyPath: setting])")
    self.bounds = bounds
    set = { $0[keyPath: setting] = Number($1) }
  }
}

extension Command {
  /// In the order of the help text.
  private static let numbers: [NumberSetting] = [
    .init("tick-ms", 1...60_000, "resolution of the timing wheel", \.engine.broker.tickMs),
    .init("wheel-size", 2...(1 << 20), "slots of each wheel", \.engine.broker.wheelSize),
    .init(
      "transaction-check-delay-ms", 1...86_400_000, "first question about an undecided transaction",
      \.engine.broker.heldFirstCheckMs),
    .init(
      "transaction-check-interval-ms", 1...86_400_000, "time between two such questions",
      \.engine.broker.heldCheckIntervalMs),
    .init(
      "transaction-check-max", 0...1_000_000, "questions before a transaction is discarded",
      \.engine.broker.heldChecksMax),
    .init("max-line-bytes", 1024...(64 << 20), "the longest line", \.lineBytesMax),
    .init(
      "max-body-bytes", 1...(64 << 20), "the largest body", \.engine.broker.bodyBytesMax, standard: "--max-line-bytes"),
    .init("max-delay-ms", 1...(1 << 52), "the longest delay", \.engine.broker.maxDelayMs),
    .init(
      "id-window-ms", 0...(1 << 40), "how long ids are remembered after release or cancel",
      \.engine.broker.idWindowMs),
    .init("max-connections", 1...1_000_000, "connections at a time", \.connectionsMax),
    .init("max-unsent-bytes", 65_536 ... .max, "bytes that may wait to be sent on a connection", \.unsentBytesMax),
    .init("max-pending", 1 ... .max, "pending messages", \.engine.broker.pendingMax),
    .init(
      "max-outstanding", 1...(1 << 30), "delivered and unfinished messages of a group",
      \.engine.broker.outstandingMax),
    .init(
      "slice-ms", 1...86_400_000, "width of the finest slice of the store; fixed when the folder is made",
      \.engine.broker.sliceMs),
    .init("segment-bytes", 4096...(1 << 32), "size of topic segments", \.engine.broker.segmentBytes),
    .init("journal-segment-bytes", 16_384...(1 << 30), "size of journal segments", \.engine.segmentBytes),
    .init("checkpoint-bytes", 4096 ... .max, "journal bytes between checkpoints", \.engine.checkpointBytes),
    .init("cache-bytes", 1 << 20 ... .max, "memory for topic logs", \.engine.broker.cacheBytes),
    .init(
      "min-free-bytes", 0 ... .max, "new messages are refused below this much free disk", \.engine.minFreeBytes),
    .init("reserve-bytes", 0...(1 << 40), "disk set aside for a full disk", \.engine.reserveBytes),
  ]

  static let serve = Command.onMainThread(
    name: "serve", summary: "Run a server until SIGTERM or SIGINT.",
    options: [
      .value("data", "DIR", "the data folder; made when it is not there", standard: "./escapement-data"),
      .value("listen", "HOST:PORT", "where to listen; port 0 picks one", standard: "127.0.0.1:7611"),
      .value("http", "HOST:PORT|off", "the admin page; there is none yet, so only 'off'", standard: "off"),
      .value("fsync", "MODE", "always, interval or interval:MS, never", standard: "always"),
      .value("token-file", "FILE", "tokens that clients may say hello with, one a line"),
      .value("auto-create", "on|off", "whether topics and groups come into being on first use", standard: "on"),
      .value("delay-levels", "TABLE", "delays of the levels 1, 2, …", standard: DelayLevels.standardText),
    ] + numbers.map(\.option) + [
      .flag("salvage", "leave damaged ranges of the journal out instead of refusing to start")
    ]
  ) { options in
    let settings = try serverSettings(options)
    let log: @Sendable (String) -> Void = { printError("escapement: \($0)") }
    // A connection is an open file: the soft limit that a shell gives, often 1 024, is far below `--max-connections`.
    ProcessSettings.raiseOpenFiles()
    let server: Server
    do throws(ServerError) {
      server = try Server(settings, log: log)
    } catch {
      printError("escapement serve: \(error)")
      return 1
    }
    let host = settings.listeners[0].host
    Output.line("escapement listening on \(host.isEmpty ? "*" : host):\(server.port)")
    return server.run()
  }

  private static func serverSettings(_ options: CommandLineOptions) throws(UsageError) -> ServerSettings {
    var settings = ServerSettings()
    if let folder = options.text("data") { settings.dataFolder = folder }
    if let text = options.text("listen") {
      let address = try Session.address(text, allowsAnyPort: true)
      settings.listeners = [ListenAddress(host: address.host, port: UInt16(address.port), wire: .line)]
    }
    if let http = options.text("http"), http != "off" {
      throw UsageError("--http: '\(http)': this version has no admin page yet; say 'off'")
    }
    for number in numbers {
      if let value = try options.integer(number.option.name, in: number.bounds) { number.set(&settings, value) }
    }
    if !options.has("max-body-bytes") { settings.engine.broker.bodyBytesMax = settings.lineBytesMax }
    // Whole pages.
    settings.engine.segmentBytes = (settings.engine.segmentBytes + 4095) & ~4095
    try brokerSettings(options, &settings.engine.broker)
    settings.engine.salvages = options.has("salvage")
    settings.engine.policy = try policy(options.text("fsync") ?? "always")
    if let file = options.text("token-file") { settings.tokens = try tokens(file) }
    return settings
  }

  private static func brokerSettings(
    _ options: CommandLineOptions, _ settings: inout BrokerSettings
  ) throws(UsageError) {
    switch options.text("auto-create") {
    case nil, "on": break
    case "off": settings.createsOnUse = false
    case let text?: throw UsageError("--auto-create: '\(text)' is none of on, off")
    }
    if let text = options.text("delay-levels") {
      guard let levels = DelayLevels.parse(text) else {
        throw UsageError("--delay-levels: '\(text)' is no table of delays such as '1s 5s 10s 1m 1h 1d'")
      }
      settings.delayLevelsMs = levels
      settings.delayLevelsText = text
    }
  }

  private static func policy(_ text: String) throws(UsageError) -> SyncPolicy {
    switch text {
    case "always": return .always
    case "never": return .never
    case "interval": return .interval(ms: 100)
    default:
      if text.hasPrefix("interval:"), let ms = Int(text.dropFirst(9)), (1...3_600_000).contains(ms) {
        return .interval(ms: ms)
      }
      throw UsageError("--fsync: '\(text)' is none of always, interval, interval:MS, never")
    }
  }

  private static func tokens(_ file: String) throws(UsageError) -> [String] {
    guard let text = try? String(contentsOfFile: file, encoding: .utf8) else {
      throw UsageError("--token-file: '\(file)' cannot be read")
    }
    let tokens = text.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }
      .filter { !$0.isEmpty && !$0.hasPrefix("#") }
    if tokens.isEmpty { throw UsageError("--token-file: '\(file)' has no token in it") }
    return tokens
  }
}
