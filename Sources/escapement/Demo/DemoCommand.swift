// demo: a shop in fast motion over a real server, which is killed and started again halfway, or over a cluster.
//
// Holds: whatever happens, the servers are stopped and their folder removed (kept with `--keep`); the exit code says
// whether every promise was kept.
// Leaves to others: the server process (DemoServer), the cluster (ClusterDemo), the shop (DemoShop), what must be true at
// the end (DemoLedger).

import EscapementClient
import Foundation

extension Command {
  static let demo = Command(
    name: "demo",
    summary: """
      Play a shop: order time-outs and reviews, with a crash in the middle (10 s).
      With --cluster, over three nodes and three servers of NATS on this machine, and three accidents (a minute).
      """,
    options: [
      .flag("cluster", "over a cluster; takes nats-server, from the PATH or as NATS_SERVER says"),
      .flag("keep", "keep the folder with data and logs"),
    ]
  ) { options in
    let folder = FileManager.default.temporaryDirectory.appending(
      path: "escapement-demo-\(UUID().uuidString.prefix(8))")
    let (play, stop): (@Sendable () async throws -> Bool, () async -> Void)
    if options.has("cluster") {
      let cluster = try DemoCluster(folder: folder, natsServer: try NATSServerProgram.find())
      (play, stop) = ({ try await ClusterDemo(cluster: cluster).play() }, { await cluster.stop() })
    } else {
      let server = try DemoServer(folder: folder)
      (play, stop) = ({ try await Demo(server: server).play() }, { await server.stop() })
    }
    let outcome: Result<Bool, any Error>
    do {
      outcome = .success(try await Interruption.cancelling(play))
    } catch {
      outcome = .failure(error)
    }
    await stop()
    if options.has("keep") {
      print("Data and logs are in \(folder.path).")
    } else {
      try? FileManager.default.removeItem(at: folder)
    }
    if case .failure(let error) = outcome, error is CancellationError { printError("interrupted; cleaned up") }
    return try outcome.get() ? 0 : 1
  }
}

private struct Demo: Sendable {
  // By then the first time-outs are due, orders still come in, and most payments lie ahead.
  private static let crashAfterMs: Int64 = 3_500
  private static let downMs: Int64 = 400

  let server: DemoServer

  /// Plays the shop to the end; gives whether everything was as promised.
  func play() async throws -> Bool {
    let port = try await server.start()
    let shop = 0..<40
    let ledger = DemoLedger(orders: shop.count, patienceMs: 5_000)
    ledger.say("server", "listening on 127.0.0.1:\(port), process \(await server.pid)")
    let client = EscapementClient(
      port: port,
      configuration: Configuration(
        clientName: "escapement demo", reconnect: ReconnectBackoff(initialMs: 50, maxMs: 250),
        onEvent: { ledger.note($0) }))
    try await client.connect()
    do {
      try await DemoShop(client: client, ledger: ledger, orders: shop, orderEveryMs: 100)
        .play { try await crash(ledger) }
    } catch {
      await client.close()
      throw error
    }
    let left = try await client.topics().map(\.pending).reduce(0, +)
    await client.close()
    return ledger.judge(pendingAtEnd: left)
  }

  private func crash(_ ledger: DemoLedger) async throws {
    try await Task.sleep(for: .milliseconds(Self.crashAfterMs))
    ledger.say("server", "killed with SIGKILL, in the middle of everything")
    ledger.outageBegins()
    await server.kill()
    try await Task.sleep(for: .milliseconds(Self.downMs))
    _ = try await server.start()
    ledger.outageEnds("the server was down")
    ledger.say("server", "started again on the same folder, process \(await server.pid)")
  }
}
