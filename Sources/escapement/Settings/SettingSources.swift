// Where settings come from: flags before environment variables before the file before defaults.
//
// Holds: an unknown flag, variable or key is refused with the known name that is nearest; so is a bad value in any source,
// even when another source overrides it.
// Leaves to others: the rows (`SettingsTable`), the file's JSON (`SettingsFile`), what the settings do.

import Access
import Foundation
import NATS
import Node
import Platform
import TLS

/// The settings that hold, and where each came from.
struct ResolvedSettings: Sendable {
  /// Where a value came from.
  enum Origin: Sendable, Equatable, CustomStringConvertible {
    case standard
    case file(String)
    case environment(String)
    case flag

    var description: String {
      switch self {
      case .standard: "default"
      case .file(let path): "file \(path)"
      case .environment(let variable): "environment \(variable)"
      case .flag: "flag"
      }
    }
  }

  private(set) var settings = ServeSettings()
  /// The node of a cluster that `serve` is to be; nil for a server of its own.
  private(set) var node: NodeSettings?
  private var origins: [String: Origin] = [:]

  func origin(_ setting: Setting) -> Origin { origins[setting.name] ?? .standard }

  /// Takes everything together.
  ///
  /// - Parameter environment: all variables of the process.
  init(_ options: CommandLineOptions, environment: [String: String]) throws(UsageError) {
    let variables = try Self.variables(environment)
    if let path = options.text(Self.config) ?? variables.first(where: { $0.setting.name == Self.config })?.text {
      for (setting, text) in try SettingsFile.read(path) {
        try set(setting, text, .file(path), "\(path): \(setting.name)")
      }
    }
    for (setting, text) in variables { try set(setting, text, .environment(setting.variable), setting.variable) }
    for setting in SettingsTable.all where options.has(setting.name) {
      let text = if case .flag = setting.form { "on" } else { options.text(setting.name)! }
      try set(setting, text, .flag, "--\(setting.name)")
    }
    try finish()
  }

  static let config = "config"

  private mutating func set(
    _ setting: Setting, _ text: String, _ origin: Origin, _ place: String
  ) throws(UsageError) {
    do throws(BadValue) {
      try setting.set(&settings, text)
    } catch {
      throw UsageError("\(place): \(error.reason)")
    }
    origins[setting.name] = origin
  }

  /// Applies the rules that hold between settings.
  private mutating func finish() throws(UsageError) {
    if origins["max-body-bytes"] == nil { settings.server.engine.broker.bodyBytesMax = settings.server.lineBytesMax }
    // Rounded up to whole pages.
    settings.server.engine.broker.segmentBytes = (settings.server.engine.broker.segmentBytes + 4095) & ~4095
    if let file = settings.tokenFile { settings.server.tokens = try Self.tokens(file) }
    if let path = settings.accessFile {
      do throws(AccessError) { settings.server.access = try AccessFile(path: path) } catch {
        throw UsageError("--access: \(error)")
      }
      settings.server.accessPath = path
    }
    if origins["max-memory-bytes"] == nil { settings.server.memoryBytesMax = SystemMemory.bytes() / 4 * 3 }
    try readTLS()
    settings.server.listeners = [settings.line] + [settings.http, settings.amqp, settings.rocketMQ].compactMap { $0 }
    try checkWhoReachesTheServer()
    node = try makeNode()
  }

  /// The settings of a node; nil for a server of its own.
  private func makeNode() throws(UsageError) -> NodeSettings? {
    let cluster = settings.cluster
    guard !cluster.servers.isEmpty else {
      guard cluster.node.isEmpty, cluster.advertised.isEmpty else {
        throw UsageError("--node and --advertise mean nothing without --cluster")
      }
      return nil
    }
    guard !cluster.node.isEmpty else { throw UsageError("--cluster needs --node: the name of this node") }
    guard !cluster.advertised.isEmpty else {
      throw UsageError("--cluster needs --advertise: HOST:PORT at which clients and other nodes find this one")
    }
    var nats = NATSSettings(servers: cluster.servers, name: "escapement \(cluster.node)")
    var trust: TLSContext?
    if cluster.authorities != nil || settings.server.tls != nil || cluster.servers.contains(where: \.mustUseTLS) {
      do throws(TLSError) {
        trust = try TLSContext(client: cluster.authorities.map { .file($0) } ?? .system)
      } catch {
        throw UsageError("--cluster-tls-ca: \(error)")
      }
    }
    if let trust { nats.tls = .whenRequired(trust) }
    var node = NodeSettings(
      server: settings.server, nats: nats, name: cluster.node, advertised: cluster.advertised)
    if settings.server.tls != nil { node.peerTLS = trust }
    node.shards = cluster.shards
    node.replicas = cluster.replicas
    node.mayCreate = cluster.mayCreate
    node.rebalances = cluster.rebalances
    node.streamBytesMax = cluster.streamBytes
    node.secret = try cluster.secretFile.map { (file) throws(UsageError) in try Self.secret(file) }
    let host = cluster.advertised.prefix { $0 != ":" }
    guard node.secret != nil || Self.isLoopback(String(host)) else {
      throw UsageError("--cluster needs --cluster-secret where nodes are on several machines: a file that all have")
    }
    return node
  }

  /// What nodes show to each other.
  private static func secret(_ file: String) throws(UsageError) -> String {
    guard let text = try? String(contentsOfFile: file, encoding: .utf8) else {
      throw UsageError("--cluster-secret: '\(file)' cannot be read")
    }
    let secret = text.trimmingCharacters(in: .whitespacesAndNewlines)
    guard (16...1024).contains(secret.utf8.count) else {
      throw UsageError("--cluster-secret: '\(file)' has \(secret.utf8.count) bytes in it; 16 to 1024 are good")
    }
    return secret
  }

  private mutating func readTLS() throws(UsageError) {
    guard let certificate = settings.tlsCertificate else {
      guard settings.tlsKey == nil, settings.tlsClientAuthorities == nil else {
        throw UsageError("--tls-key and --tls-client-ca mean nothing without --tls-cert")
      }
      return
    }
    let files = TLSFiles(
      certificate: certificate, key: settings.tlsKey ?? certificate, clientAuthorities: settings.tlsClientAuthorities)
    do throws(TLSError) { settings.server.tls = try TLSContext(server: files) } catch {
      throw UsageError("--tls-cert: \(error)")
    }
    settings.server.tlsFiles = files
  }

  private func checkWhoReachesTheServer() throws(UsageError) {
    guard settings.accessFile == nil, settings.tokenFile == nil, !settings.isInsecure else { return }
    for address in settings.server.listeners where !Self.isLoopback(address.host) {
      let host = address.host.isEmpty ? "*" : address.host
      throw UsageError(
        "\(address.wire.settingName): '\(host)' is no loopback address, and whoever reaches the server could do "
          + "anything; give it --access, or say --insecure")
    }
  }

  /// Whether only this machine can reach the address. A name other than `localhost` could be anything.
  static func isLoopback(_ host: String) -> Bool {
    if host == "localhost" || host == "::1" { return true }
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
  }

  // MARK: environment variables

  /// The variables with our prefix, in the order of the table; an empty one counts as not set.
  private static func variables(
    _ environment: [String: String]
  ) throws(UsageError) -> [(setting: Setting, text: String)] {
    let names = SettingsTable.all.map(\.variable)
    for variable in environment.keys.sorted() where variable.hasPrefix(Setting.variablePrefix) {
      if names.contains(variable) || isForSomebodyElse(variable) { continue }
      throw UsageError(
        "unknown environment variable '\(variable)'; the nearest is '\(NearestName.of(variable, among: names)!)'")
    }
    return SettingsTable.all.compactMap { setting in
      environment[setting.variable].flatMap { $0.isEmpty ? nil : (setting, $0) }
    }
  }

  /// Variables with our prefix that are no settings of `serve`: those of the other commands, of the tests and of clusters
  /// that tell every process about a service of our name.
  private static func isForSomebodyElse(_ variable: String) -> Bool {
    let rest = variable.dropFirst(Setting.variablePrefix.count)
    let commands = ["SERVER", "TOKEN", "TLS", "TLS_CA"]
    let tests = ["BIN", "SEED", "SEEDS", "E2E_SEED", "LEDGER_CYCLES", "INTEROP", "STALL_SYNC_MS", "WALL_OFFSET_MS"]
    return commands.contains(String(rest)) || tests.contains(String(rest)) || rest == "PORT" || rest.hasPrefix("PORT_")
      || rest.hasPrefix("SERVICE_")
  }

  // MARK: the token file

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
