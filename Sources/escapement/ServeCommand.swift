// `serve`: settings from the command line, then the server on the main thread.

import Broker
import Engine
import Foundation
import Journal
import Server

extension Command {
  static let serve = Command.onMainThread(
    name: "serve", summary: "Run a server until SIGTERM or SIGINT.",
    options: [
      .value("data", "DIR", "the data folder; made when it is not there", standard: "./escapement-data"),
      .value("listen", "HOST:PORT", "where to listen; port 0 picks one", standard: "127.0.0.1:7611"),
      .value("http", "HOST:PORT|off", "the admin page; there is none yet, so only 'off'", standard: "off"),
      .value("tick-ms", "N", "resolution of the timing wheel", standard: "1"),
      .value("wheel-size", "N", "slots of each wheel", standard: "512"),
      .value("fsync", "MODE", "always, interval or interval:MS, never", standard: "always"),
      .value("token-file", "FILE", "tokens that clients may say hello with, one a line"),
      .value("auto-create", "on|off", "whether topics and groups come into being on first use", standard: "on"),
      .value("delay-levels", "TABLE", "delays of the levels 1, 2, …", standard: DelayLevels.standardText),
      .value("transaction-check-delay-ms", "N", "first question about an undecided transaction", standard: "6000"),
      .value("transaction-check-interval-ms", "N", "time between two such questions", standard: "30000"),
      .value("transaction-check-max", "N", "questions before a transaction is discarded", standard: "15"),
      .value("max-line-bytes", "N", "the longest line", standard: "1048576"),
      .value("max-body-bytes", "N", "the largest body", standard: "--max-line-bytes"),
      .value("max-delay-ms", "N", "the longest delay", standard: "315360000000"),
      .value("id-window-ms", "N", "how long ids are remembered after release or cancel", standard: "600000"),
      .value("max-connections", "N", "connections at a time", standard: "50000"),
      .value("max-unsent-bytes", "N", "bytes that may wait to be sent on a connection", standard: "4194304"),
      .value("max-pending", "N", "pending messages", standard: "100000000"),
      .value("max-outstanding", "N", "delivered and unfinished messages of a group", standard: "1000000"),
      .value(
        "slice-ms", "N", "width of the finest slice of the store; fixed when the folder is made", standard: "65536"),
      .value("segment-bytes", "N", "size of topic segments", standard: "67108864"),
      .value("journal-segment-bytes", "N", "size of journal segments", standard: "67108864"),
      .value("checkpoint-bytes", "N", "journal bytes between checkpoints", standard: "134217728"),
      .value("cache-bytes", "N", "memory for topic logs", standard: "268435456"),
      .value("min-free-bytes", "N", "new messages are refused below this much free disk", standard: "67108864"),
      .value("reserve-bytes", "N", "disk set aside for a full disk", standard: "16777216"),
      .flag("salvage", "leave damaged ranges of the journal out instead of refusing to start"),
    ]
  ) { options in
    let settings = try serverSettings(options)
    let log: @Sendable (String) -> Void = { printError("escapement: \($0)") }
    let server: Server
    do throws(ServerError) {
      server = try Server(settings, log: log)
    } catch {
      printError("escapement serve: \(error)")
      return 1
    }
    Output.line("escapement listening on \(settings.host.isEmpty ? "*" : settings.host):\(server.port)")
    return server.run()
  }

  private static func serverSettings(_ options: CommandLineOptions) throws(UsageError) -> ServerSettings {
    var settings = ServerSettings()
    if let folder = options.text("data") { settings.dataFolder = folder }
    if let text = options.text("listen") {
      let address = try Session.address(text, allowsAnyPort: true)
      settings.host = address.host
      settings.port = UInt16(address.port)
    }
    if let http = options.text("http"), http != "off" {
      throw UsageError("--http: '\(http)': this version has no admin page yet; say 'off'")
    }
    func number(_ name: String, _ bounds: ClosedRange<Int64>, _ set: (Int) -> Void) throws(UsageError) {
      if let value = try options.integer(name, in: bounds) { set(Int(value)) }
    }
    try brokerSettings(options, &settings.engine.broker)
    try number("max-line-bytes", 1024...(64 << 20)) { settings.lineBytesMax = $0 }
    settings.engine.broker.bodyBytesMax = settings.lineBytesMax
    try number("max-body-bytes", 1...(64 << 20)) { settings.engine.broker.bodyBytesMax = $0 }
    try number("max-connections", 1...1_000_000) { settings.connectionsMax = $0 }
    try number("max-unsent-bytes", 65_536 ... .max) { settings.unsentBytesMax = $0 }
    try number("journal-segment-bytes", 16_384...(1 << 30)) { settings.engine.segmentBytes = ($0 + 4095) & ~4095 }
    try number("checkpoint-bytes", 4096 ... .max) { settings.engine.checkpointBytes = $0 }
    try number("min-free-bytes", 0 ... .max) { settings.engine.minFreeBytes = $0 }
    try number("reserve-bytes", 0...(1 << 40)) { settings.engine.reserveBytes = $0 }
    settings.engine.salvages = options.has("salvage")
    settings.engine.policy = try policy(options.text("fsync") ?? "always")
    if let file = options.text("token-file") { settings.tokens = try tokens(file) }
    return settings
  }

  private static func brokerSettings(
    _ options: CommandLineOptions, _ settings: inout BrokerSettings
  ) throws(UsageError) {
    if let tickMs = try options.integer("tick-ms", in: 1...60_000) { settings.tickMs = tickMs }
    if let size = try options.integer("wheel-size", in: 2...(1 << 20)) { settings.wheelSize = Int(size) }
    if let sliceMs = try options.integer("slice-ms", in: 1...86_400_000) { settings.sliceMs = sliceMs }
    if let delayMs = try options.integer("max-delay-ms", in: 1...(1 << 52)) { settings.maxDelayMs = delayMs }
    if let windowMs = try options.integer("id-window-ms", in: 0...(1 << 40)) { settings.idWindowMs = windowMs }
    if let pending = try options.integer("max-pending", in: 1 ... .max) { settings.pendingMax = Int(pending) }
    if let count = try options.integer("max-outstanding", in: 1...(1 << 30)) { settings.outstandingMax = Int(count) }
    if let bytes = try options.integer("segment-bytes", in: 4096...(1 << 32)) { settings.segmentBytes = Int(bytes) }
    if let bytes = try options.integer("cache-bytes", in: 1 << 20 ... .max) { settings.cacheBytes = Int(bytes) }
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
    if let delayMs = try options.integer("transaction-check-delay-ms", in: 1...86_400_000) {
      settings.heldFirstCheckMs = delayMs
    }
    if let intervalMs = try options.integer("transaction-check-interval-ms", in: 1...86_400_000) {
      settings.heldCheckIntervalMs = intervalMs
    }
    if let checks = try options.integer("transaction-check-max", in: 0...1_000_000) {
      settings.heldChecksMax = UInt32(checks)
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
