// The client: what an application holds, over one connection or over one to each node of a cluster.
//
// Leaves to others: one connection (ServerConnection), who leads what in a cluster (Cluster), the operations themselves
// (+Scheduling, +Consuming, +Topics, +Cluster).

import Dispatch
import Synchronization

/// A connection to an Escapement server, or to a cluster of them, shared by any number of tasks.
///
/// ```swift
/// let client = EscapementClient(host: "127.0.0.1", port: 7611)
/// try await client.connect()
/// try await client.schedule(topic: "order-timeouts", body: .text("4711"), id: "4711", when: .after(ms: 1_800_000))
/// for try await delivery in try await client.subscribe(topic: "order-timeouts", group: "shop") {
///   print(delivery.id)
///   delivery.ack()
/// }
/// ```
///
/// A lost connection is built up again (`Configuration.reconnect`): subscriptions are renewed, and requests that are safe
/// to repeat are sent again. A request that is not, and was on the wire, fails with `connectionLost`; one that was not
/// yet sent waits for the new connection until its time-out.
///
/// In a cluster, requests and subscriptions go to the node that leads their topic, and to the next one when that changes.
/// The client finds the nodes from any address of one; several are for the case that the first is down. A message that is
/// scheduled without an id gets one from the client, so that asking again is safe.
public final class EscapementClient: Sendable {
  /// Where the server listens; of a cluster, where nodes listen.
  public let addresses: [ServerAddress]
  /// The settings.
  public let configuration: Configuration

  private let link = Mutex(Link.none)
  let outbox: AckOutbox

  private enum Link {
    case none
    case connecting(ServerConnection?)
    case single(ServerConnection)
    case cluster(Cluster)
    case closed
  }

  /// Makes a client; nothing is sent before `connect()`.
  public convenience init(
    host: String = "127.0.0.1", port: Int = 7611, configuration: Configuration = Configuration()
  ) {
    self.init(addresses: [ServerAddress(host: host, port: port)], configuration: configuration)
  }

  /// Makes a client of a cluster; nothing is sent before `connect()`.
  ///
  /// - Parameter addresses: of nodes of one cluster, at least one. The first that answers is enough.
  public init(addresses: [ServerAddress], configuration: Configuration = Configuration()) {
    precondition(!addresses.isEmpty, "a client needs an address")
    self.addresses = addresses
    self.configuration = configuration
    let owner = Weak<EscapementClient>()
    outbox = AckOutbox { owner.object?.sendOutbox() }
    owner.object = self
  }

  /// The host name or address of the first server.
  public var host: String { addresses[0].host }
  /// The port of the first server.
  public var port: Int { addresses[0].port }

  /// Connects and introduces the client. Returns what the server says about itself.
  ///
  /// - Throws: `connectionLost` when nobody answers, `refused` when the server does not want us (`unauthenticated`),
  ///   `closed` after `close()`. Nothing is retried here; later losses are.
  @discardableResult
  public func connect() async throws -> ServerInfo {
    try link.withLock { link throws(EscapementError) in
      switch link {
      case .none: break
      case .single(let connection) where connection.isIdle: break
      case .closed: throw .closed
      case .connecting, .single, .cluster: throw .invalidRequest("the client is connected already")
      }
      link = .connecting(nil)
    }
    do {
      return try await connectToAny()
    } catch {
      link.withLock { if case .connecting = $0 { $0 = .none } }
      throw error
    }
  }

  private func connectToAny() async throws -> ServerInfo {
    let settings = addresses.count > 1 ? Cluster.impatient(configuration) : configuration
    var failure: any Error = EscapementError.closed
    for address in addresses {
      let connection = ServerConnection(address, settings, outbox)
      try advance(to: .connecting(connection))
      do {
        let info = try await connection.connect()
        let status = try await clusterStatus(by: connection)
        try advance(
          to: status.map { .cluster(Cluster(connection, $0, addresses, configuration)) } ?? .single(connection))
        return info
      } catch EscapementError.refused(let code, let message) {
        throw EscapementError.refused(code: code, message: message)
      } catch {
        failure = error
      }
    }
    throw failure
  }

  /// What the node says about the shards; nil of a server that stands alone.
  private func clusterStatus(by connection: ServerConnection) async throws -> NodeStatus? {
    do {
      let deadlineNs = ServerConnection.deadlineNs(afterMs: connection.configuration.requestTimeoutMs)
      return try await NodeStatus(
        connection.request(RequestLine("shards"), isRepeatable: true, deadlineNs: deadlineNs).fields)
    } catch EscapementError.refused { return nil }
  }

  private func advance(to next: Link) throws(EscapementError) {
    try link.withLock { link throws(EscapementError) in
      guard case .connecting = link else { throw .closed }
      link = next
    }
  }

  /// Sends what is gathered, waits until the server has it (1 s at most), and ends the connection. Requests that still
  /// wait fail with `closed`; subscriptions end.
  public func close() async {
    let last = link.withLock { link in
      defer { link = .closed }
      return link
    }
    switch last {
    case .none, .connecting(nil), .closed: break
    case .connecting(let connection?), .single(let connection): await connection.close()
    case .cluster(let cluster): await cluster.close()
    }
  }

  /// The server's introduction in the session of the moment; nil before the first.
  public var server: ServerInfo? {
    switch link.withLock({ $0 }) {
    case .single(let connection): connection.server
    case .cluster(let cluster): cluster.server
    case .none, .connecting, .closed: nil
    }
  }
}

// MARK: One server or a cluster

extension EscapementClient {
  /// What an operation goes through.
  enum Route {
    case single(ServerConnection)
    case cluster(Cluster)
  }

  var route: Route {
    get throws(EscapementError) {
      try link.withLock { link throws(EscapementError) in
        switch link {
        case .single(let connection): .single(connection)
        case .cluster(let cluster): .cluster(cluster)
        case .none: throw .connectionLost(reason: "not connected; call connect() first")
        case .connecting: throw .connectionLost(reason: "not connected yet; wait for connect()")
        case .closed: throw .closed
        }
      }
    }
  }

  /// Whether the server is one of a cluster; false before `connect()`.
  public var isCluster: Bool { if case .cluster? = try? route { true } else { false } }

  /// Sends a request and waits for its reply.
  ///
  /// - Parameter extraMs: time the server may take by design (a waiting `fetch`), added to the time-out.
  func request(_ line: RequestLine, isRepeatable: Bool, extraMs: Int64 = 0) async throws -> Reply {
    let deadlineNs = deadlineNs(extraMs: extraMs)
    switch try route {
    case .single(let connection):
      return try await connection.request(line, isRepeatable: isRepeatable, deadlineNs: deadlineNs)
    case .cluster(let cluster):
      return try await cluster.request(line, isRepeatable: isRepeatable, deadlineNs: deadlineNs)
    }
  }

  /// Sends one request about everything that the server has: in a cluster one to each shard. Gives the replies, by shard.
  func requestOfEach(_ line: RequestLine) async throws -> [Reply] {
    guard case .cluster(let cluster) = try route else { return [try await request(line, isRepeatable: true)] }
    return try await withThrowingTaskGroup(of: (Int, Reply).self) { group in
      for shard in 0..<cluster.shardCount {
        var line = line
        line.set(shard: shard)
        group.addTask { [line] in (shard, try await self.request(line, isRepeatable: true)) }
      }
      var replies: [(Int, Reply)] = []
      for try await reply in group { replies.append(reply) }
      return replies.sorted { $0.0 < $1.0 }.map(\.1)
    }
  }

  func deadlineNs(extraMs: Int64 = 0) -> UInt64 {
    let (sum, isFar) = max(0, configuration.requestTimeoutMs).addingReportingOverflow(max(0, extraMs))
    return ServerConnection.deadlineNs(afterMs: isFar ? .max : sum)
  }

  /// Sends acknowledgements that wait.
  private func sendOutbox() {
    switch try? route {
    case .single(let connection)?: connection.sendOutbox()
    case .cluster(let cluster)?: cluster.sendOutbox()
    case nil: break
    }
  }

  /// Asks for the server's time, in Unix ms.
  public func ping() async throws -> Int64 {
    try await request(RequestLine("ping"), isRepeatable: true).fields.int("nowMs")
  }

  /// Introduces the client again; gives the server's fresh answer.
  public func hello() async throws -> ServerInfo {
    try await ServerInfo(request(.hello(configuration), isRepeatable: true).fields)
  }
}

extension RequestLine {
  static func hello(_ configuration: Configuration) -> RequestLine {
    var line = RequestLine("hello")
    line.set("protocol", 1)
    line.set("client", configuration.clientName)
    line.set("token", configuration.token)
    return line
  }
}
