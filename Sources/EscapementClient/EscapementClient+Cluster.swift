// The operations on a cluster itself: its nodes, and who leads which shard.

/// What asking one node came to.
public struct NodeReport: Sendable {
  /// Where it was asked.
  public let address: ServerAddress
  /// What it said; nil when it did not answer.
  public let status: NodeStatus?
  /// Why it did not.
  public let problem: String?
}

extension EscapementClient {
  // A node that does not answer must not hide the others for long.
  private static let patienceMs: Int64 = 3_000

  /// Asks every node that is known, and those that these name as leaders, about the shards. By node name, those without an
  /// answer last.
  ///
  /// - Throws: `refused` with `unknown_op` when the server stands alone.
  public func nodes() async throws -> [NodeReport] {
    guard case .cluster(let cluster) = try route else {
      _ = try await request(RequestLine("shards"), isRepeatable: true)
      return []
    }
    var reports: [NodeReport] = []
    var asked: Set<ServerAddress> = []
    while true {
      let addresses = cluster.state.withLock { $0.nodes }.filter { !asked.contains($0) }
      if addresses.isEmpty { break }
      asked.formUnion(addresses)
      await withTaskGroup(of: NodeReport.self) { group in
        for address in addresses { group.addTask { await Self.ask(address, cluster) } }
        for await report in group { reports.append(report) }
      }
    }
    // One node may have been found by two addresses.
    var names: Set<String> = []
    return reports.filter { $0.status == nil || names.insert($0.status!.node).inserted }
      .sorted {
        ($0.status?.node ?? "\u{10FFFF}", "\($0.address)") < ($1.status?.node ?? "\u{10FFFF}", "\($1.address)")
      }
  }

  private static func ask(_ address: ServerAddress, _ cluster: Cluster) async -> NodeReport {
    var line = RequestLine("shards")
    line.set(node: address)
    do {
      let reply = try await cluster.request(
        line, isRepeatable: true, deadlineNs: ServerConnection.deadlineNs(afterMs: patienceMs))
      let status = try NodeStatus(reply.fields)
      cluster.learn(status)
      return NodeReport(address: address, status: status, problem: nil)
    } catch EscapementError.connectionLost(let reason) {
      let prefix = "\(address): "
      return NodeReport(
        address: address, status: nil,
        problem: reason.hasPrefix(prefix) ? String(reason.dropFirst(prefix.count)) : reason)
    } catch {
      return NodeReport(address: address, status: nil, problem: "\(error)")
    }
  }

  /// Has a shard's leader give the leadership to another node, which takes a moment.
  ///
  /// - Parameter node: the other node's name.
  public func moveLeader(ofShard shard: Int, to node: String) async throws {
    var line = RequestLine("moveLeader")
    line.set(shard: shard)
    line.set("to", node)
    _ = try await request(line, isRepeatable: false)
  }

  /// Has a node take the leadership of a shard, whoever leads now.
  ///
  /// - Parameter address: of the node that shall lead.
  public func seizeLeader(ofShard shard: Int, at address: ServerAddress) async throws {
    var line = RequestLine("seizeLeader")
    line.set(shard: shard)
    line.set(node: address)
    _ = try await request(line, isRepeatable: false)
  }
}
