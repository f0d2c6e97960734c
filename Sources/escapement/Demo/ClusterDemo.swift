// The shop over a cluster: the leader is killed, then the server of NATS that leads its log, then the next leader is paused.

import EscapementClient
import Foundation

struct ClusterDemo: Sendable {
  // Orders come in during all three accidents.
  private static let orders = 0..<80
  private static let orderEveryMs: Int64 = 400
  private static let quietMs: Int64 = 3_000
  // The longest that was seen without a leader, 21 s, and as much again.
  private static let patienceMs: Int64 = 45_000

  let cluster: DemoCluster

  /// Plays the shop to the end; gives whether everything was as promised.
  func play() async throws -> Bool {
    let ledger = DemoLedger(orders: Self.orders.count, patienceMs: Self.patienceMs)
    ledger.say("cluster", "starts three servers of NATS (n1, n2, n3) and three nodes (a, b, c)")
    for name in DemoCluster.servers + DemoCluster.nodes { try await cluster.start(name) }
    let client = EscapementClient(
      addresses: cluster.addresses,
      configuration: Configuration(
        clientName: "escapement demo", requestTimeoutMs: Self.patienceMs, onEvent: { ledger.note($0) }))
    try await client.connect()
    do {
      try await probe(client)
      ledger.say("cluster", "node \(try await leader(client)) leads")
      try await DemoShop(client: client, ledger: ledger, orders: Self.orders, orderEveryMs: Self.orderEveryMs)
        .play { try await accidents(client, ledger) }
      let left = try await client.topics().map(\.pending).reduce(0, +)
      await client.close()
      return ledger.judge(pendingAtEnd: left)
    } catch {
      await client.close()
      throw error
    }
  }

  private func accidents(_ client: EscapementClient, _ ledger: DemoLedger) async throws {
    try await sleep(Self.quietMs)
    let first = try await leader(client)
    ledger.say("node \(first)", "KILLED with SIGKILL; it led")
    try await outage("after the leader was killed nobody led", client, ledger) { await cluster.kill(first) }
    try await sleep(Self.quietMs)
    try await cluster.start(first)
    ledger.say("node \(first)", "started again on its folder")
    try await sleep(Self.quietMs)

    let server = await cluster.streamLeader() ?? DemoCluster.servers[0]
    ledger.say("NATS \(server)", "KILLED with SIGKILL; it led the log")
    try await outage("after NATS lost the leader of the log nothing was accepted", client, ledger) {
      await cluster.kill(server)
    }
    try await sleep(Self.quietMs)
    try await cluster.start(server)
    ledger.say("NATS \(server)", "started again on its folder")
    try await sleep(Self.quietMs)

    let second = try await leader(client)
    ledger.say("node \(second)", "PAUSED with SIGSTOP; it leads, and does not know")
    try await outage("after the leader was paused nobody led", client, ledger) { await cluster.pause(second) }
    await cluster.goOn(second)
    ledger.say("node \(second)", "goes on, and finds that it leads no more")
    try await sleep(Self.quietMs)
  }

  /// Does something bad, and waits until the cluster accepts again.
  private func outage(
    _ what: String, _ client: EscapementClient, _ ledger: DemoLedger, _ accident: () async -> Void
  ) async throws {
    ledger.outageBegins()
    await accident()
    try await probe(client)
    let ms = ledger.outageEnds(what)
    ledger.say("cluster", "ACCEPTS AGAIN after \(ms) ms; node \(try await leader(client)) leads")
  }

  /// Returns when a message has been accepted.
  private func probe(_ client: EscapementClient) async throws {
    try await client.schedule(topic: "probes", body: .null, when: .after(ms: 0))
  }

  /// The node that leads the one shard, by the latest news.
  private func leader(_ client: EscapementClient) async throws -> String {
    let views = try await client.nodes().compactMap { $0.status?.shards.first }
    return views.max { ($0.epoch ?? 0) < ($1.epoch ?? 0) }?.leader ?? "?"
  }

  private func sleep(_ ms: Int64) async throws { try await Task.sleep(for: .milliseconds(ms)) }
}
