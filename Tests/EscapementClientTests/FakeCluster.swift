// Nodes that follow a script: who leads which shard is what the test says, and what a leader answers is the test's.
//
// Holds: the topic `t3` is in shard 3. A node answers `shards`, and refuses with `not_leader` what it does not lead.

import Foundation
import Synchronization

@testable import EscapementClient

final class FakeCluster: Sendable {
  /// What the leader of a request's shard does with it; the node's number comes first.
  typealias Script = @Sendable (Int, Received, FakeServer.Connection) -> Void

  private struct State {
    var nodes: [FakeServer] = []
    /// The leader of each shard: a node's number; nil: nobody.
    var leaders: [Int?] = []
    var epoch = 1
  }

  private let state = Mutex(State())
  private let script: Script

  /// Nodes with these leaders: one shard for each.
  init(
    nodes count: Int, leaders: [Int?],
    _ script: @escaping Script = { _, line, connection in connection.send(line.ok()) }
  ) {
    self.script = script
    let nodes = (0..<count).map { number in
      FakeServer(isNode: true) { [weak self] line, connection in self?.answer(number, line, connection) }
    }
    state.withLock {
      $0.nodes = nodes
      $0.leaders = leaders
    }
  }

  subscript(_ number: Int) -> FakeServer { state.withLock { $0.nodes[number] } }

  func address(_ number: Int) -> ServerAddress { ServerAddress(host: "127.0.0.1", port: self[number].port) }

  /// From now on this node leads the shard.
  func lead(_ shard: Int, by number: Int?) {
    state.withLock {
      $0.leaders[shard] = number
      $0.epoch += 1
    }
  }

  /// A client; leaders on a busy machine are given time to answer, unless `pingEveryMs` says otherwise.
  func client(
    _ numbers: [Int], _ configuration: Configuration = Configuration(requestTimeoutMs: 60_000),
    pingEveryMs: Int64 = 60_000
  ) -> EscapementClient {
    var configuration = configuration
    configuration.pingEveryMs = pingEveryMs
    return EscapementClient(addresses: numbers.map(address), configuration: configuration)
  }

  func stop() { for node in state.withLock({ $0.nodes }) { node.stop() } }

  private func answer(_ number: Int, _ line: Received, _ connection: FakeServer.Connection) {
    let (leaders, epoch) = state.withLock { ($0.leaders, $0.epoch) }
    if line.op == "shards" { return connection.send(line.ok(status(number, leaders))) }
    // What has neither topic nor shard is for any node.
    guard let shard = line.fields["shard"]?.int.map(Int.init) ?? line.text("topic").flatMap({ Int($0.dropFirst()) })
    else { return script(number, line, connection) }
    if leaders[shard] == number { return script(number, line, connection) }
    let address = leaders[shard].map { ",\"address\":\"\(self.address($0))\",\"epoch\":\(epoch)" } ?? ""
    connection.send(
      "{\"ok\":false,\"rid\":\(line.rid),\"error\":\"not_leader\",\"message\":\"not here\",\"shard\":\(shard)\(address)}"
    )
  }

  /// The members of the answer to `shards`.
  private func status(_ number: Int, _ leaders: [Int?]) -> String {
    let shards = leaders.enumerated().map { shard, leader in
      let known = leader.map { ",\"leader\":\"n\($0)\",\"address\":\"\(address($0))\",\"epoch\":1" } ?? ""
      return "{\"shard\":\(shard),\"role\":\"\(leader == number ? "leading" : "following")\"\(known),\"index\":1,"
        + "\"record\":\(10 - number),\"isCurrent\":true,\"void\":0,\"streamBytes\":5}"
    }
    return "\"node\":\"n\(number)\",\"shards\":[\(shards.joined(separator: ","))]"
  }
}
