// The demo's cluster: three servers of NATS and three nodes, which are this very program, on loopback.
//
// Holds: each process is addressed by its own id only, and ended by `stop`, also one that is paused.
// Leaves to others: what happens to them (ClusterDemo), what NATS is told (NATSServerProgram).

import Dispatch
import EscapementClient
import Foundation
import Glibc
import Platform

actor DemoCluster {
  static let stream = "ESC-0"
  private static let startMsMax: Int32 = 20_000
  private static let stopMsMax = 3_000

  /// A program of the cluster and the process that runs it.
  private struct Member {
    var path: String
    var arguments: [String]
    var process: ChildProcess?
  }

  private let folder: URL
  private let monitors: [Int]
  private var members: [String: Member] = [:]
  /// Where the nodes are.
  nonisolated let addresses: [ServerAddress]

  static let servers = ["n1", "n2", "n3"]
  static let nodes = ["a", "b", "c"]

  init(folder: URL, natsServer: String) throws {
    self.folder = folder
    try FileManager.default.createDirectory(
      at: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
    let ports = try Self.freePorts(12)
    let (clients, routes) = (Array(ports[0..<3]), Array(ports[3..<6]))
    monitors = Array(ports[6..<9])
    addresses = ports[9..<12].map { ServerAddress(host: "127.0.0.1", port: $0) }
    for (number, name) in Self.servers.enumerated() {
      let file = folder.appending(path: "\(name).conf")
      try NATSServerProgram.configuration(
        name: name, port: clients[number], monitor: monitors[number], routes: routes, own: routes[number],
        folder: folder.appending(path: name).path
      ).write(to: file, atomically: true, encoding: .utf8)
      members[name] = Member(path: natsServer, arguments: ["-c", file.path])
    }
    // The name itself, since in the child `/proc/self` would be the child.
    let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
    let servers = clients.map { "nats://esc:demo@127.0.0.1:\($0)" }.joined(separator: ",")
    for (name, address) in zip(Self.nodes, addresses) {
      members[name] = Member(
        path: program,
        arguments: [
          "serve", "--cluster", servers, "--node", name, "--advertise", "\(address)", "--listen", "\(address)",
          "--http", "off", "--amqp", "off", "--shards", "1", "--data", folder.appending(path: "node-\(name)").path,
        ])
    }
  }

  /// Ports that nobody listens on at the moment.
  private static func freePorts(_ count: Int) throws -> [Int] {
    var sockets: [Int32] = []
    defer { for socket in sockets { Socket.close(socket) } }
    for _ in 0..<count { sockets.append(try Socket.listen(host: "127.0.0.1", port: 0)) }
    return sockets.map { Int(Socket.localPort($0)) }
  }

  /// Starts a server of NATS or a node, again in its folder when it has run before. A node is waited for until it listens.
  func start(_ name: String) async throws {
    guard let member = members[name] else { preconditionFailure("the cluster has no \(name)") }
    let process = try ChildProcess(
      path: member.path, arguments: member.arguments, log: folder.appending(path: "\(name).log").path)
    members[name]?.process = process
    let line = Self.nodes.contains(name) ? await blocking { process.readLine(timeoutMs: Self.startMsMax) } : ""
    process.discardOutput()
    guard line != nil else { throw DemoServerError(description: "\(name) did not start\n\(logTail(name))") }
  }

  /// Ends it as a power cut would.
  func kill(_ name: String) async { await end([name], with: SIGKILL) }

  func pause(_ name: String) { members[name]?.process?.signal(SIGSTOP) }

  func goOn(_ name: String) { members[name]?.process?.signal(SIGCONT) }

  /// The server of NATS that leads the stream.
  func streamLeader() async -> String? {
    let monitors = monitors
    return await blocking {
      monitors.lazy.compactMap { NATSServerProgram.leader(ofStream: Self.stream, monitor: $0) }.first
    }
  }

  /// Asks all to end, the nodes first, and makes them.
  func stop() async {
    for name in members.keys { goOn(name) }
    await end(Self.nodes, with: SIGTERM)
    await end(Self.servers, with: SIGTERM)
    await end(Self.nodes + Self.servers, with: SIGKILL)
  }

  private func end(_ names: [String], with number: Int32) async {
    let running = names.compactMap { name in members[name]?.process.map { (name, $0) } }
    // All at once, since each takes its time.
    let ended = await withTaskGroup(of: String?.self) { group in
      for (name, process) in running {
        group.addTask { await self.blocking { process.end(with: number, timeoutMs: Self.stopMsMax) } ? name : nil }
      }
      var ended: [String] = []
      for await name in group { if let name { ended.append(name) } }
      return ended
    }
    for name in ended { members[name]?.process = nil }
  }

  private func logTail(_ name: String) -> String {
    let text = (try? String(contentsOf: folder.appending(path: "\(name).log"), encoding: .utf8)) ?? ""
    return text.split(separator: "\n").suffix(10).joined(separator: "\n")
  }

  /// Does what blocks on a thread that may, and does it in a cancelled task too.
  private nonisolated func blocking<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
      DispatchQueue.global().async { continuation.resume(returning: body()) }
    }
  }
}
