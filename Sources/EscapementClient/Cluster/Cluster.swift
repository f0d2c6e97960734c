// The nodes of a cluster, as a client knows them: one connection a node, and who leads what.
//
// Holds: a topic's leader is learned from whoever answers for it, and forgotten with the connection to it; a connection that
// has ended is not used again, another one is opened when somebody needs it.
// Leaves to others: trying again (+Requests), subscriptions and acknowledgements (+Subscriptions), silent nodes (+Watch),
// bytes and replies (ServerConnection).

import Synchronization

final class Cluster: Sendable {
  struct State {
    var isClosed = false
    /// A connection has ended, so that every new one stands for it.
    var hasLost = false
    /// Every node that was ever heard of; the first that is asked when nobody knows better stands first.
    var nodes: [ServerAddress]
    var open: [ServerAddress: ServerConnection] = [:]
    var opening: [ServerAddress: Task<ServerConnection, any Error>] = [:]
    /// How often a connection could not be opened since some node last answered.
    var failures = 0
    var leaders: [Place: ServerAddress] = [:]
    /// Subscriptions that are open, or are being opened again.
    var subscriptions: [ObjectIdentifier: SubscriptionState] = [:]

    mutating func know(_ address: ServerAddress) { if !nodes.contains(address) { nodes.append(address) } }
  }

  // A node that is there answers sooner; one that is not must not keep us from the others. While nobody answers, each failure
  // doubles the time, for networks that are slower than that.
  private static let connectMsMin: Int64 = 1_000
  // A client that speaks of more topics than that learns again.
  private static let leadersMax = 100_000

  let configuration: Configuration
  let outbox: AckOutbox
  let shardCount: Int
  let state: Mutex<State>
  /// Held while acknowledgements are taken and written, so that whoever comes later finds them written.
  let writingAcks = Mutex(())

  /// - Parameters:
  ///   - first: a connection that stands; it becomes one of the cluster's.
  ///   - status: what its server has said about the shards.
  ///   - addresses: further nodes that may be there.
  init(_ first: ServerConnection, _ status: NodeStatus, _ addresses: [ServerAddress], _ configuration: Configuration) {
    self.configuration = configuration
    outbox = first.outbox
    shardCount = status.shards.count
    var known = State(nodes: [first.address])
    for address in addresses + status.shards.compactMap(\.leaderAddress) { known.know(address) }
    for shard in status.shards { known.leaders[.shard(shard.shard)] = shard.leaderAddress }
    state = Mutex(known)
    adopt(first)
    watch()
  }

  private func adopt(_ connection: ServerConnection) {
    let isUp = connection.state.withLock { state in
      state.cluster = Weak(self)
      return state.phase == .connected
    }
    if isUp {
      state.withLock { $0.open[connection.address] = connection }
    } else {
      // It was lost meanwhile, and would be built up again by itself.
      Task { await connection.close() }
    }
  }

  /// Settings for the connection to one of several nodes: what it may take, its introduction included.
  static func impatient(_ configuration: Configuration, failures: Int = 0) -> Configuration {
    var settings = configuration
    settings.connectTimeoutMs = min(settings.connectTimeoutMs, connectMsMin << min(failures, 10))
    settings.requestTimeoutMs = min(settings.requestTimeoutMs, settings.connectTimeoutMs)
    return settings
  }

  /// What the node that is asked first has said about itself.
  var server: ServerInfo? {
    state.withLock { state in state.nodes.compactMap { state.open[$0] }.first }?.server
  }

  /// Ends all connections; what is gathered reaches the servers first, within a second.
  func close() async {
    await sendAcks()
    let (connections, subscriptions) = state.withLock { state in
      state.isClosed = true
      for task in state.opening.values { task.cancel() }
      defer { state.subscriptions = [:] }
      return (Array(state.open.values), Array(state.subscriptions.values))
    }
    await withTaskGroup(of: Void.self) { group in
      for connection in connections { group.addTask { await connection.close() } }
    }
    for subscription in subscriptions { subscription.buffer.finish(.success(())) }
  }

  // MARK: Who leads

  /// The node to ask: who leads, as far as is known, else one after the other.
  func node(for place: Place, failures: Int) -> ServerAddress {
    if case .node(let address) = place { return address }
    return state.withLock { $0.leaders[place] ?? $0.nodes[failures % $0.nodes.count] }
  }

  func learn(_ place: Place, at address: ServerAddress) {
    state.withLock { state in
      guard place != .anywhere, state.leaders[place] != address else { return }
      if state.leaders.count >= Self.leadersMax { state.leaders = [:] }
      state.leaders[place] = address
    }
  }

  func learn(_ news: NotLeader, about place: Place? = nil) {
    state.withLock { state in
      state.failures = 0
      if let place { state.leaders[place] = news.address }
      state.leaders[.shard(news.shard)] = news.address
      if let address = news.address { state.know(address) }
    }
  }

  func learn(_ status: NodeStatus) {
    state.withLock { state in
      for shard in status.shards { if let address = shard.leaderAddress { state.know(address) } }
    }
  }

  // MARK: Connections

  private enum Way {
    case open(ServerConnection)
    case opening(Task<ServerConnection, any Error>)
  }

  /// The connection to a node, opened when there is none.
  ///
  /// - Throws: `RequestLost` when the node cannot be reached, `EscapementError` when it does not want us.
  func connection(to address: ServerAddress) async throws -> ServerConnection {
    let way: Way = try state.withLock { state throws(EscapementError) in
      if state.isClosed { throw .closed }
      if let connection = state.open[address] { return .open(connection) }
      let task = state.opening[address] ?? Task { try await self.open(address) }
      state.opening[address] = task
      return .opening(task)
    }
    switch way {
    case .open(let connection): return connection
    case .opening(let task): return try await task.value
    }
  }

  private func open(_ address: ServerAddress) async throws -> ServerConnection {
    let (isAgain, failures) = state.withLock { ($0.hasLost, $0.failures) }
    let connection = ServerConnection(address, Self.impatient(configuration, failures: failures), outbox)
    connection.state.withLock { $0.cluster = Weak(self) }
    let result: Result<Void, any Error>
    do { result = .success(_ = try await connection.connect(isAgain: isAgain)) } catch { result = .failure(error) }
    let isClosed = state.withLock { state in
      state.opening[address] = nil
      if case .success = result, !state.isClosed {
        state.open[address] = connection
        state.failures = 0
      } else {
        state.failures += 1
        state.putLast(address)
      }
      return state.isClosed
    }
    switch result {
    case .success where isClosed:
      await connection.close()
      throw EscapementError.closed
    case .success: return connection
    case .failure(let error as EscapementError) where error.isFinalAnswer: throw error
    case .failure(EscapementError.connectionLost(let reason)):
      throw RequestLost(mayHaveTakenEffect: false, reason: reason)
    case .failure(let error): throw RequestLost(mayHaveTakenEffect: false, reason: "\(address): \(error)")
    }
  }

  /// A connection has ended, with these subscriptions.
  func lost(_ connection: ServerConnection, _ subscriptions: [SubscriptionState], reason: String) {
    let isClosed = state.withLock { state in
      if state.open[connection.address] === connection { state.open[connection.address] = nil }
      state.hasLost = true
      state.putLast(connection.address)
      return state.isClosed
    }
    if !isClosed { renew(subscriptions, reason: reason) }
  }
}

extension Cluster.State {
  /// Others are asked before this one, and it leads nothing as far as we know.
  fileprivate mutating func putLast(_ address: ServerAddress) {
    leaders = leaders.filter { $0.value != address }
    guard let index = nodes.firstIndex(of: address) else { return }
    nodes.append(nodes.remove(at: index))
  }
}

extension EscapementError {
  /// Asking elsewhere or again would bring the same answer.
  fileprivate var isFinalAnswer: Bool {
    guard case .refused(let code, _) = self else { return false }
    return code == .unauthenticated || code == .forbidden || code == .badRequest
  }
}
