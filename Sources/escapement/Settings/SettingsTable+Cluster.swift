// The settings of a node of a cluster.

import NATS
import Node
import Server

/// What `serve` needs of a cluster, when it is to be a node of one.
struct ClusterSettings: Sendable {
  /// The servers of the stream; empty: a server of its own.
  var servers: [ServerAddress] = []
  var serversText = ""
  var node = ""
  var advertised = ""
  var shards = 8
  var replicas = 3
  var mayCreate = true
  var rebalances = true
  var secretFile: String?
  var authorities: String?
  var streamBytes: Int64 = 8 << 30
}

extension SettingsTable {
  static let cluster: [Setting] = [
    .text(
      "cluster", "nats://HOST:PORT,…",
      "be a node of a cluster: the servers of NATS, as nats://[USER:PASSWORD@]HOST:PORT or tls://…"
    ) { (settings, text) throws(BadValue) in
      do throws(ServerAddressError) {
        settings.cluster.servers = text.isEmpty ? [] : try ServerAddress.list(text)
      } catch {
        throw BadValue(error.description)
      }
      // Without what stands before @: settings are shown to people.
      settings.cluster.serversText = settings.cluster.servers.map(\.description).joined(separator: ",")
    } shown: {
      $0.cluster.serversText
    },
    .text("node", "NAME", "the name of this node, unlike that of all others") { (settings, text) throws(BadValue) in
      guard text.isEmpty || isNodeName(text) else {
        throw BadValue("'\(text)' is no name of a node: 1 to 64 of A-Z a-z 0-9 . _ -")
      }
      settings.cluster.node = text
    } shown: {
      $0.cluster.node
    },
    .text("advertise", "HOST:PORT", "where clients and other nodes find this node's line protocol") {
      (settings, text) throws(BadValue) in
      guard !text.isEmpty else { return settings.cluster.advertised = "" }
      do throws(UsageError) { _ = try Session.address(text) } catch { throw BadValue(error.description) }
      settings.cluster.advertised = text
    } shown: {
      $0.cluster.advertised
    },
    .number(
      "shards", 1...Int64(NodeSettings.shardsMax), .count, "shards of the cluster; fixed when it is made",
      \.cluster.shards),
    .number("cluster-replicas", 1...5, .count, "servers of NATS that keep each shard's log", \.cluster.replicas),
    .onOff(
      "cluster-create", "whether a node without data makes the streams that are not there", \.cluster.mayCreate),
    .onOff(
      "cluster-rebalance", "whether leaders give way to the nodes among which shards are spread evenly",
      \.cluster.rebalances),
    .text("cluster-secret", "FILE", "what nodes show to each other; needed unless all are on this machine") {
      $0.cluster.secretFile = $1
    } shown: {
      $0.cluster.secretFile ?? ""
    },
    .text(
      "cluster-tls-ca", "FILE",
      "whom to trust when the servers of NATS or other nodes speak TLS, as PEM; else the system's"
    ) {
      $0.cluster.authorities = $1
    } shown: {
      $0.cluster.authorities ?? ""
    },
    .number(
      "cluster-stream-bytes", (1 << 30)...(1 << 50), .bytes,
      "how large the log of a shard may grow; new messages are refused from the half on", \.cluster.streamBytes),
  ]

  private static func isNodeName(_ text: String) -> Bool {
    (1...64).contains(text.utf8.count)
      && text.utf8.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"): true
        default: false
        }
      }
  }
}
