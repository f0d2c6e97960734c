// cluster, cluster move, cluster seize: who leads which shard, and how to change that.

import EscapementClient
import Foundation

extension Command {
  static let cluster = Command(
    name: "cluster",
    summary: """
      Show the shards of a cluster: who leads them, and how far every node has come.
      Asks the nodes that --server names and those that they name. The exit status is 1 when a shard has no leader, a node
      does not answer, or one reports a problem.
      """,
    options: [.flag("json", "one line of JSON instead of a table")] + connectionOptions
  ) { options in
    try await Session.run(options) { client in
      let table = ClusterTable(try await client.nodes())
      Output.line(options.has("json") ? try Output.json(table.nodes) : table.text)
      return table.isSound ? 0 : 1
    }
  }

  static let clusterMove = Command(
    name: "cluster move", positional: ["SHARD", "NODE"],
    summary: "Have a shard's leader give the leadership to another node, for which nothing has to be waited for.",
    options: connectionOptions
  ) { options in
    let shard = try shard(options)
    return try await Session.run(options) { client in
      try await client.moveLeader(ofShard: shard, to: options.arguments[1])
      Output.line("the leader of shard \(shard) gives way to \(options.arguments[1])")
      return 0
    }
  }

  static let clusterSeize = Command(
    name: "cluster seize", positional: ["SHARD"],
    summary: """
      Have the node that --server names lead a shard, whoever leads it now.
      For a leader that does not do its work. Nothing that was acknowledged is lost.
      """,
    options: connectionOptions
  ) { options in
    let shard = try shard(options)
    return try await Session.run(options) { client in
      try await client.seizeLeader(ofShard: shard, at: client.addresses[0])
      Output.line("\(client.addresses[0]) takes the leadership of shard \(shard)")
      return 0
    }
  }

  private static func shard(_ options: CommandLineOptions) throws(UsageError) -> Int {
    guard let shard = UInt16(options.arguments[0]) else {
      throw UsageError("'\(options.arguments[0])' is no number of a shard")
    }
    return Int(shard)
  }
}

/// What all nodes say, side by side.
struct ClusterTable {
  /// One node, for `--json`.
  struct Node: Encodable {
    var address: String
    var node: String?
    var shards: [ShardStatus]?
    var problem: String?
  }

  let nodes: [Node]

  init(_ reports: [NodeReport]) {
    nodes = reports.map { report in
      Node(
        address: "\(report.address)", node: report.status?.node, shards: report.status?.shards, problem: report.problem)
    }
  }

  private var shardNumbers: [Int] { Set(nodes.flatMap { $0.shards ?? [] }.map(\.shard)).sorted() }

  /// Who leads a shard by the latest news, as that node itself or others tell it.
  private func leadership(_ shard: Int) -> ShardStatus? {
    statuses(shard).map(\.status).filter { $0.leader != nil }.max { ($0.epoch ?? 0) < ($1.epoch ?? 0) }
  }

  private func statuses(_ shard: Int) -> [(node: String, status: ShardStatus)] {
    nodes.compactMap { node in
      guard let name = node.node, let status = node.shards?.first(where: { $0.shard == shard }) else { return nil }
      return (name, status)
    }
  }

  private func problems(_ shard: Int) -> [String] {
    statuses(shard).compactMap { entry in entry.status.problem.map { "\(entry.node): \($0)" } }
  }

  /// Every node answers, every shard is led, and nobody has anything to complain about.
  var isSound: Bool {
    nodes.allSatisfy { $0.problem == nil }
      && shardNumbers.allSatisfy { shard in
        statuses(shard).contains { $0.status.role == "leading" } && problems(shard).isEmpty
      }
  }

  var text: String {
    let names = nodes.compactMap(\.node)
    let header = ["shard", "leader", "address", "epoch"] + names.map(Output.printable) + ["void", "problem"]
    let rows = shardNumbers.map { shard in
      let statuses = statuses(shard)
      let leadership = leadership(shard)
      let record = statuses.first { $0.status.role == "leading" }?.status.record
      let cells = names.map { name in
        statuses.first { $0.node == name }.map { Self.cell($0.status, leaderRecord: record) } ?? ""
      }
      return [
        "\(shard)", leadership?.leader.map(Output.printable) ?? "nobody", leadership?.address ?? "",
        leadership?.epoch.map(String.init) ?? "",
      ] + cells + [
        "\(statuses.map(\.status.void).max() ?? 0)", Output.printable(problems(shard).joined(separator: "; ")),
      ]
    }
    let silent = nodes.filter { $0.node == nil }.map { "\($0.address) does not answer: \($0.problem ?? "")" }
    return ([Output.table(header, rows)] + silent).joined(separator: "\n")
  }

  /// What a node is in a shard, and how many records it is behind.
  private static func cell(_ status: ShardStatus, leaderRecord: Int64?) -> String {
    let behind = (leaderRecord ?? status.record) - status.record
    return Output.printable(status.role) + (behind > 0 ? " -\(behind)" : "")
  }
}
