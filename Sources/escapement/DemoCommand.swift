// demo: a shop in fast motion over a real server, which is killed and started again halfway.
//
// Holds: whatever happens, the server is stopped and its folder removed (kept with `--keep`); the exit code says
// whether every promise was kept.
// Leaves to others: the server process (DemoServer), the shop (DemoShop), what must be true at the end (DemoLedger).

import EscapementClient
import Foundation

extension Command {
  static let demo = Command(
    name: "demo", summary: "Play a shop: order time-outs and reviews, with a crash in the middle (10 s).",
    options: [.flag("keep", "keep the server's data folder")]
  ) { options in
    let folder = FileManager.default.temporaryDirectory.appending(
      path: "escapement-demo-\(UUID().uuidString.prefix(8))")
    let server = try DemoServer(folder: folder)
    let outcome: Result<Bool, any Error>
    do {
      outcome = .success(try await Interruption.cancelling { try await Demo(server: server).play() })
    } catch {
      outcome = .failure(error)
    }
    await server.stop()
    if options.has("keep") {
      print("The data folder is \(folder.path)/data; the server's log is beside it.")
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
  // A message that should not come is given this long to come after all.
  private static let lingerMs: Int64 = 400

  let server: DemoServer

  /// Plays the shop to the end; gives whether everything was as promised.
  func play() async throws -> Bool {
    let port = try await server.start()
    let ledger = DemoLedger()
    ledger.say("server", "listening on 127.0.0.1:\(port), process \(await server.pid)")
    let client = EscapementClient(
      port: port,
      configuration: Configuration(
        clientName: "escapement demo", reconnect: ReconnectBackoff(initialMs: 50, maxMs: 250),
        onEvent: { ledger.note($0) }))
    try await client.connect()
    do {
      try await play(client, ledger)
    } catch {
      await client.close()
      throw error
    }
    let left = try await client.topics().map(\.pending).reduce(0, +)
    await client.close()
    let faults = ledger.faults(pendingAtEnd: left)
    print(ledger.summary)
    for fault in faults { print("WRONG: \(fault)") }
    print(faults.isEmpty ? "\nEvery promise was kept." : "\n\(faults.count) promises were broken.")
    return faults.isEmpty
  }

  private func play(_ client: EscapementClient, _ ledger: DemoLedger) async throws {
    let shop = DemoShop(client: client, ledger: ledger)
    let timeouts = try await client.subscribe(topic: DemoShop.timeoutTopic, group: "shop")
    let reviews = try await client.subscribe(topic: DemoShop.reviewTopic, group: "shop")
    try await withThrowingTaskGroup(of: Void.self) { consumers in
      consumers.addTask { try await shop.cancelUnpaid(timeouts) }
      consumers.addTask { try await shop.writeReviews(reviews) }
      try await withThrowingTaskGroup(of: Void.self) { actors in
        for number in DemoShop.orders { actors.addTask { try await shop.live(number) } }
        actors.addTask { try await crash(ledger) }
        try await actors.waitForAll()
      }
      try await ledger.waitForMessages()
      try await Task.sleep(for: .milliseconds(Self.lingerMs))
      consumers.cancelAll()
      try await consumers.waitForAll()
    }
  }

  private func crash(_ ledger: DemoLedger) async throws {
    try await Task.sleep(for: .milliseconds(Self.crashAfterMs))
    ledger.say("server", "killed with SIGKILL, in the middle of everything")
    let downFromMs = DemoLedger.nowMs
    await server.kill()
    try await Task.sleep(for: .milliseconds(Self.downMs))
    _ = try await server.start()
    ledger.serverWasDown(fromMs: downFromMs, toMs: DemoLedger.nowMs)
    ledger.say("server", "started again on the same folder, process \(await server.pid)")
  }
}
