// Sessions of a connection: opening the first, replacing a lost one, the end.

import Dispatch
import Foundation
import Synchronization

extension ServerConnection {
  // How long the server may take to answer the last request.
  private static let farewellMs: Int64 = 1_000

  /// Connects and introduces the client. Returns what the server says about itself.
  ///
  /// - Throws: `connectionLost` when nobody answers, `refused` when the server does not want us (`unauthenticated`),
  ///   `closed` after `close()`. Nothing is retried here; later losses are.
  @discardableResult
  func connect(isAgain: Bool = false) async throws -> ServerInfo {
    try state.withLock { state throws(EscapementError) in
      switch state.phase {
      case .idle: state.phase = .connecting
      case .closed: throw .closed
      case .connecting, .connected, .reconnecting: throw .invalidRequest("the client is connected already")
      }
    }
    do {
      return try await openSession(isAgain: isAgain)
    } catch {
      leaveWire(for: .idle)
      throw error
    }
  }

  /// Sends what is gathered, waits until the server has it (1 s at most), and ends the connection. Requests that still
  /// wait fail with `closed`; subscriptions end.
  func close() async {
    if state.withLock({ $0.phase == .connected }) {
      // The reply to a ping comes after everything before it was dealt with.
      let ping = Task {
        _ = try await self.request(
          RequestLine("ping"), isRepeatable: false, deadlineNs: Self.deadlineNs(afterMs: Self.farewellMs))
      }
      timers.asyncAfter(deadline: .now() + .milliseconds(Int(Self.farewellMs))) { ping.cancel() }
      _ = await ping.result
    }
    let wire = state.withLock { state in
      state.phase = .closed
      state.reconnecting?.cancel()
      defer { state.wire = nil }
      return state.wire
    }
    wire?.shutDown()
    endAll(.closed, subscriptions: .success(()))
  }

  /// Connects, says hello, renews subscriptions and repeats requests.
  private func openSession(isAgain: Bool) async throws -> ServerInfo {
    let socket = try await Dial.connect(
      host: address.host, port: address.port, timeoutMs: configuration.connectTimeoutMs)
    let seal = try await openTLS(socket)
    let wire = Wire(socket: socket, seal: seal, lineBytesMax: configuration.replyBytesMax)
    let generation: Int? = state.withLock { state in
      guard state.phase != .closed else { return nil }
      state.generation += 1
      state.wire = wire
      state.phase = .connecting
      state.lastComplaint = nil
      return state.generation
    }
    guard let generation else { throw EscapementError.closed }
    wire.start(
      onLine: { [weak self] in self?.receive($0, generation: generation) },
      onEnd: { [weak self] in self?.connectionEnded($0, generation: generation) })
    let hello = try await request(
      .hello(configuration), isRepeatable: false, isSession: true,
      deadlineNs: Self.deadlineNs(afterMs: configuration.requestTimeoutMs))
    let info = try ServerInfo(hello.fields)
    let isOpen = state.withLock { state in
      guard state.generation == generation, state.wire != nil else { return false }
      state.session = info
      state.phase = .connected
      state.flush(outbox)
      renewSubscriptions(&state)
      for rid in state.pending.keys.sorted() where state.pending[rid]?.isOnWire == false { write(rid, &state) }
      return true
    }
    guard isOpen else { throw EscapementError.connectionLost(reason: "lost while it was being opened") }
    report(.connected(again: isAgain))
    return info
  }

  /// The TLS of a new connection, with the handshake done; nil for a plain one. Closes the socket when it fails.
  private func openTLS(_ socket: Int32) async throws(EscapementError) -> Seal? {
    guard let tls = configuration.tls else { return nil }
    return try await Seal.open(
      socket, tls, host: tls.serverName ?? address.host, timeoutMs: configuration.connectTimeoutMs)
  }

  private func renewSubscriptions(_ state: inout State) {
    let opening = Set(state.pending.values.compactMap { $0.subscription.map(ObjectIdentifier.init) })
    for (identity, subscription) in state.subscriptions where !opening.contains(identity) {
      let rid = state.takeRid()
      state.pending[rid] = PendingRequest(
        op: "subscribe", line: subscription.line.finished(rid: rid), isRepeatable: true, isSession: false,
        deadlineNs: .max, subscription: subscription, caller: nil)
    }
    scheduleSweep(&state)
  }

  private func connectionEnded(_ reason: String, generation: Int) {
    let cluster = state.withLock { $0.cluster }
    guard let loss = leaveWire(for: cluster == nil ? .reconnecting : .closed, generation: generation, reason: reason)
    else { return }
    // While a session is being opened, whoever opens it decides what comes next.
    guard loss.wasOpen else { return }
    report(.lost(reason: loss.reason))
    if let cluster {
      cluster.object?.lost(self, loss.subscriptions, reason: loss.reason)
      return
    }
    guard configuration.reconnect != nil else { return giveUp(loss.reason) }
    let owner = Weak(self)
    let task = Task { await Self.reconnect(owner) }
    state.withLock { $0.reconnecting = task }
  }

  /// Forgets the connection (nil when another one has taken its place already) and fails what was on it and must not be
  /// repeated.
  ///
  /// - Parameter generation: the connection meant; nil: the one of the moment.
  @discardableResult
  private func leaveWire(
    for phase: Phase, generation: Int? = nil, reason: String = "the session could not be opened"
  ) -> Loss? {
    let left = state.withLock { state -> (loss: Loss, wire: Wire?, dead: [PendingRequest], isAlone: Bool)? in
      guard state.phase != .closed, generation ?? state.generation == state.generation else { return nil }
      let complaint = state.lastComplaint.map { "\($0) (\(reason))" } ?? reason
      let loss = Loss(
        wasOpen: state.phase == .connected, reason: complaint, subscriptions: Array(state.subscriptionsByNumber.values))
      let wire = state.wire
      return (loss, wire, state.leaveConnection(for: phase), state.cluster == nil)
    }
    guard let left else { return nil }
    left.wire?.shutDown()
    if left.isAlone { outbox.dropAllButAcks() }
    for request in left.dead {
      if request.isOnWire && !request.isRepeatable {
        fail(
          request, .connectionLost(reason: "\(left.loss.reason); whether '\(request.op)' has taken effect is unknown"))
      } else {
        request.caller?.resume(throwing: RequestLost(mayHaveTakenEffect: request.sends > 0, reason: left.loss.reason))
      }
    }
    return left.loss
  }

  /// What was lost with a connection.
  private struct Loss {
    var wasOpen: Bool
    var reason: String
    /// Those that were open on it.
    var subscriptions: [SubscriptionState]
  }

  /// Tries again and again. The client is looked up each time, so that a forgotten one goes away.
  private static func reconnect(_ owner: Weak<ServerConnection>) async {
    var attempt = 1
    while let rule = owner.object?.configuration.reconnect {
      let delayMs = rule.delayMs(attempt: attempt, random: .random(in: 0...UInt64.max))
      owner.object?.report(.reconnecting(attempt: attempt, delayMs: delayMs))
      do { try await Task.sleep(for: .milliseconds(delayMs)) } catch { return }
      guard let connection = owner.object, connection.state.withLock({ $0.phase != .closed }) else { return }
      do {
        _ = try await connection.openSession(isAgain: true)
        return
      } catch {
        connection.leaveWire(for: .reconnecting)
        let isFinal =
          if case EscapementError.refused(let code, _) = error {
            code == .unauthenticated || code == .forbidden || code == .badRequest
          } else { attempt >= rule.attemptsMax ?? .max }
        if isFinal { return connection.giveUp("\(error)") }
      }
      attempt += 1
    }
  }

  private func giveUp(_ reason: String) {
    state.withLock { if $0.phase != .closed { $0.phase = .idle } }
    report(.gaveUp(reason: reason))
    endAll(.connectionLost(reason: reason), subscriptions: .failure(.connectionLost(reason: reason)))
  }

  private func endAll(_ error: EscapementError, subscriptions end: Result<Void, EscapementError>) {
    let (requests, subscriptions) = state.withLock { state in
      defer {
        state.pending = [:]
        state.subscriptions = [:]
        state.subscriptionsByNumber = [:]
      }
      return (state.pending.values, state.subscriptions.values)
    }
    for subscription in subscriptions { subscription.buffer.finish(end) }
    for request in requests { fail(request, error) }
  }
}

extension ServerConnection.State {
  /// Gives the requests that died with the connection; what may be repeated stays listed for the next one, when there is one.
  fileprivate mutating func leaveConnection(for phase: ServerConnection.Phase) -> [ServerConnection.PendingRequest] {
    self.phase = phase
    wire = nil
    generation += 1
    subscriptionsByNumber = [:]
    let hasNext = cluster == nil
    let dead = pending.filter { !hasNext || $0.value.isOnWire && !$0.value.isRepeatable }
    for rid in dead.keys { pending[rid] = nil }
    // A renewal of a subscription is asked for anew in the next session.
    pending = pending.filter { $0.value.caller != nil }
    for rid in pending.keys { pending[rid]?.isOnWire = false }
    for subscription in subscriptions.values { subscription.buffer.dropUntaken() }
    return Array(dead.values)
  }
}
