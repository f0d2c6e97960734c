// `serve`: settings from their sources, then the server on the main thread.

import Foundation
import Logs
import Node
import Platform
import Server

extension Command {
  static let serve = Command.onMainThread(
    name: "serve",
    summary: """
      Run a server until SIGTERM or SIGINT.
      Each option is also a variable (ESCAPEMENT_TICK_MS for --tick-ms) and a key of the JSON file of --config.
      """,
    options: SettingsTable.all.map(\.option) + [
      .flag("print-settings", "show what holds and where it came from, and end")
    ]
  ) { options in
    let resolved = try ResolvedSettings(options, environment: ProcessInfo.processInfo.environment)
    if options.has("print-settings") {
      Output.line(SettingsText.lines(resolved))
      return 0
    }
    let settings = resolved.settings.server
    let log = Log(
      format: resolved.settings.logFormat, level: resolved.settings.logLevel,
      nowMs: { SystemClock.wallNs() / 1_000_000 }, sink: Log.standardError)
    defer { log.finish() }
    // A connection is an open file: the soft limit that a shell gives, often 1 024, is far below `--max-connections`.
    ProcessSettings.raiseOpenFiles()
    if let node = resolved.node { return serve(node) { log.write($0, $1, $2) } }
    let server: Server
    do throws(ServerError) {
      server = try Server(settings) { log.write($0, $1, $2) }
    } catch {
      log.write(.error, "start_failed", "\(error)")
      return error.isUnusableAddress ? 2 : 1
    }
    tell(server.addresses)
    return server.run(supervisor: ServiceNotifier(environment: ProcessInfo.processInfo.environment))
  }

  private static func serve(_ settings: NodeSettings, log: @escaping ServerLog) -> Int32 {
    let node: Node
    do throws(NodeError) { node = try Node(settings, log: log) } catch {
      log(.error, "start_failed", "\(error)")
      return 1
    }
    tell(node.addresses)
    return node.run(supervisor: ServiceNotifier(environment: ProcessInfo.processInfo.environment))
  }

  private static func tell(_ addresses: [ListenAddress]) {
    for address in addresses {
      let wire = address.wire.name.map { " for \($0)" } ?? ""
      Output.line("escapement listening on \(address.host.isEmpty ? "*" : address.host):\(address.port)\(wire)")
    }
  }
}
