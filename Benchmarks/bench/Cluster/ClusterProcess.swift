// Three servers of NATS and three nodes of a cluster, on loopback, in a folder of their own.
//
// Holds: the servers write to their disks before they answer; all of it ends with `stop`.
// Leaves to others: what is done with it.

import Glibc
import LineProtocol
import Platform
import Primitives

final class ClusterProcess {
  /// Who nodes and the benchmark are to the servers.
  static let login = NATSLogin(user: "bench", password: "bench-secret")

  private let folder: String
  private var servers: [ChildProcess] = []
  private var nodes: [ChildProcess] = []
  private let nodePorts: [UInt16]
  let serverPorts: [UInt16]

  /// Starts everything, and waits until each shard is led.
  init(_ flags: Flags, shards: Int) {
    folder = Folder.make(in: flags.text("folder"))
    serverPorts = (0..<3).map { _ in PeerProcess.freePort() }
    nodePorts = (0..<3).map { _ in PeerProcess.freePort() }
    startServers()
    let binary = flags.text("binary").isEmpty ? Folder.ofThisProgram() + "/escapement" : flags.text("binary")
    let urls = serverPorts.map { "nats://\(Self.login.user):\(Self.login.password)@127.0.0.1:\($0)" }
    for (place, port) in nodePorts.enumerated() {
      // Each begins with the server beside it.
      let own = (urls[place...] + urls[..<place]).joined(separator: ",")
      let place = Self.makeFolder("\(folder)/node-\(place)")
      nodes.append(
        PeerProcess.start(
          [
            binary, "serve", "--cluster", own, "--node", "node-\(port)", "--advertise", "127.0.0.1:\(port)", "--listen",
            "127.0.0.1:\(port)", "--shards", "\(shards)", "--data", "\(place)/data", "--amqp", "off", "--http", "off",
            "--log-level", "warning", "--cluster-rebalance", "off",
          ], in: place, listeningOn: port))
    }
    waitUntilLed(shards)
  }

  private static func makeFolder(_ path: String) -> String {
    mkdir(path, 0o700)
    return path
  }

  private func startServers() {
    let routePorts = (0..<3).map { _ in PeerProcess.freePort() }
    let routes = routePorts.map { "\"nats://127.0.0.1:\($0)\"" }.joined(separator: ", ")
    let ping = "$SYS.REQ.SERVER.PING.JSZ"
    for (place, port) in serverPorts.enumerated() {
      let own = Self.makeFolder("\(folder)/server-\(place)")
      let configuration = """
        host: 127.0.0.1
        port: \(port)
        server_name: bench-\(place)
        jetstream { store_dir: "\(own)/store", sync_interval: always }
        cluster { name: bench, listen: "127.0.0.1:\(routePorts[place])", routes: [\(routes)] }
        accounts {
          SYS: { exports: [{service: "\(ping)", response_type: stream}] }
          BENCH: {
            jetstream: enabled
            users: [{user: "\(Self.login.user)", password: "\(Self.login.password)"}]
            imports: [{service: {account: SYS, subject: "\(ping)"}}]
          }
        }
        system_account: SYS

        """
      guard (try? configuration.write(toFile: "\(own)/nats.conf", atomically: true, encoding: .utf8)) != nil else {
        fail("cannot write into \(own)")
      }
      servers.append(
        PeerProcess.start(
          [PeerProcess.find("nats-server") ?? "nats-server", "-c", "\(own)/nats.conf"], in: own, listeningOn: port))
    }
  }

  private func waitUntilLed(_ shards: Int) {
    let endNs = SystemClock.bootNs() + 60_000_000_000
    while SystemClock.bootNs() < endNs {
      let text = ask("{\"op\":\"shards\"}\n", nodePorts[0])
      if text.components(separatedBy: "\"leader\":").count - 1 == shards { return }
      SystemClock.pause(ns: 100_000_000)
    }
    fail("the cluster has no leaders after a minute; see \(folder)")
  }

  private func ask(_ line: String, _ port: UInt16) -> String {
    let connection = LineConnection(port: port)
    line.withBytes { connection.send($0) }
    while connection.receive() {
      if let reply = connection.nextLine() { return String(decoding: reply, as: UTF8.self) }
    }
    fail("a node does not answer")
  }

  /// Where the leader of a topic's shard is.
  func port(ofTopic topic: String) -> UInt16 {
    for port in nodePorts {
      let reply = ask("{\"op\":\"get\",\"topic\":\"\(topic)\",\"id\":\"none\"}\n", port)
      if reply.hasPrefix("{\"ok\":true") { return port }
    }
    fail("nobody leads the shard of \(topic)")
  }

  /// A topic in each shard.
  func topics(shards: Int) -> [String] {
    var found: [Int: String] = [:]
    var number = 0
    while found.count < shards {
      number += 1
      let topic = "bench-\(number)"
      let port = port(ofTopic: topic)
      // The numbers of subscriptions tell their shard.
      let reply = ask("{\"op\":\"subscribe\",\"topic\":\"\(topic)\"}\n", port)
      guard let sub = reply.components(separatedBy: "\"sub\":").last.flatMap({ Int($0.prefix { $0.isNumber }) }) else {
        fail("no subscription: \(reply)")
      }
      found[(sub - 1) % shards] = topic
    }
    return found.sorted { $0.key < $1.key }.map(\.value)
  }

  /// Processor time of all of it so far, servers and nodes.
  var cpuNs: (servers: Int64, nodes: Int64) {
    (servers.reduce(0) { $0 + $1.cpuNs }, nodes.reduce(0) { $0 + $1.cpuNs })
  }

  func stop() {
    for process in nodes + servers { process.end(SIGKILL) }
    Folder.remove(folder)
  }
}
