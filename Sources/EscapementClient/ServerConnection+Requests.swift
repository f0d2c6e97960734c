// Sending requests, and the ways to stop waiting for a reply: time-out and cancellation.

import Dispatch

extension ServerConnection {
  // How often requests that are overdue are looked for. A time-out is a safety net; 50 ms late is soon enough.
  private static let sweepMs = 50

  /// Sends a request and waits for its reply.
  ///
  /// - Throws: `RequestLost` and `NotLeader` on a connection of a cluster; `EscapementError` for what is final.
  func request(
    _ line: RequestLine, isRepeatable: Bool, isSession: Bool = false, deadlineNs: UInt64,
    subscription: SubscriptionState? = nil
  ) async throws -> Reply {
    let rid = state.withLock { $0.takeRid() }
    let bytes = line.finished(rid: rid)
    try checkLength(bytes)
    return try await withTaskCancellationHandler {
      try await withCheckedThrowingContinuation { caller in
        submit(
          rid,
          PendingRequest(
            op: line.op, line: bytes, isRepeatable: isRepeatable, isSession: isSession,
            deadlineNs: deadlineNs, subscription: subscription, caller: caller))
        // A cancellation that came before the request was listed found nothing to cancel.
        if Task.isCancelled { abandon(rid, CancellationError()) }
      }
    } onCancel: {
      abandon(rid, CancellationError())
    }
  }

  /// Sends a request that asked for no reply; returns when the connection has taken it.
  func send(unanswered line: RequestLine) async throws {
    let wire = try state.withLock { state throws(EscapementError) -> Wire in
      if state.phase == .closed { throw .closed }
      guard state.phase == .connected, let wire = state.wire else { throw .connectionLost(reason: "not connected") }
      let bytes = line.finished(rid: state.takeRid())
      try Self.checkLength(bytes, state.session)
      state.flush(outbox)
      wire.write(bytes)
      return wire
    }
    await wire.drained()
  }

  /// Sends acknowledgements that wait.
  func sendOutbox() { state.withLock { $0.flush(outbox) } }

  /// Sends a request that asked for no reply; false when there is no connection.
  func write(unanswered line: RequestLine) -> Bool {
    state.withLock { state in
      guard state.phase == .connected, let wire = state.wire else { return false }
      wire.write(line.finished(rid: state.takeRid()))
      return true
    }
  }

  private func checkLength(_ bytes: [UInt8]) throws(EscapementError) {
    try Self.checkLength(bytes, state.withLock { $0.session })
  }

  // The server closes the connection on a line that is too long, and with it everybody's requests.
  private static func checkLength(_ bytes: [UInt8], _ session: ServerInfo?) throws(EscapementError) {
    let bytesMax = session?.maxLineBytes ?? 1 << 20
    guard Int64(bytes.count - 1) <= bytesMax else {
      throw .invalidRequest("the request has \(bytes.count - 1) bytes; the server takes lines of up to \(bytesMax)")
    }
  }

  private func submit(_ rid: Int64, _ request: PendingRequest) {
    let refusal: EscapementError? = state.withLock { state in
      switch state.phase {
      case .closed: return .closed
      case .idle: return .connectionLost(reason: "not connected; call connect() first")
      case .connecting where !request.isSession && state.session == nil:
        return .connectionLost(reason: "not connected yet; wait for connect()")
      case .connecting, .connected, .reconnecting: break
      }
      if state.pending.count >= configuration.pendingMax { return .tooManyPending(limit: configuration.pendingMax) }
      state.pending[rid] = request
      if state.phase == .connected || request.isSession {
        state.flush(outbox)
        write(rid, &state)
      }
      scheduleSweep(&state)
      return nil
    }
    if let refusal { request.caller?.resume(throwing: refusal) }
  }

  /// Writes a listed request to the connection of the moment.
  func write(_ rid: Int64, _ state: inout State) {
    guard let wire = state.wire, var request = state.pending[rid] else { return }
    request.sends += 1
    request.isOnWire = true
    state.pending[rid] = request
    wire.write(request.line)
  }

  /// Asks for a sign of life; gives how often that was done since the last line came.
  func pingAgain() -> Int {
    state.withLock { state in
      guard state.phase == .connected, let wire = state.wire else { return 0 }
      wire.write(RequestLine("ping").finished(rid: state.takeRid()))
      state.silentPings += 1
      return state.silentPings
    }
  }

  /// The server is known to be there.
  func noteSignOfLife() { state.withLock { $0.silentPings = 0 } }

  /// Ends the connection from our side.
  func breakOff(because reason: String) {
    let wire = state.withLock { state in
      state.lastComplaint = reason
      return state.wire
    }
    wire?.shutDown()
  }

  /// The time after so many milliseconds, on the clock of deadlines.
  static func deadlineNs(afterMs ms: Int64) -> UInt64 {
    // Some thirty years are for ever, and cannot overflow.
    DispatchTime.now().uptimeNanoseconds + UInt64(clamping: min(ms, 1 << 40)) * 1_000_000
  }

  /// Stops waiting for a reply; when it comes after all, it is ignored.
  func abandon(_ rid: Int64, _ error: any Error) {
    let request = state.withLock { state in
      let request = state.pending.removeValue(forKey: rid)
      if let subscription = request?.subscription { state.subscriptions[ObjectIdentifier(subscription)] = nil }
      return request
    }
    request?.caller?.resume(throwing: error)
  }

  func scheduleSweep(_ state: inout State) {
    guard !state.isSweepScheduled, !state.pending.isEmpty else { return }
    state.isSweepScheduled = true
    timers.asyncAfter(deadline: .now() + .milliseconds(Self.sweepMs)) { [weak self] in self?.sweep() }
  }

  private func sweep() {
    let nowNs = DispatchTime.now().uptimeNanoseconds
    let overdue = state.withLock { state in
      state.isSweepScheduled = false
      let overdue = state.pending.filter { $0.value.deadlineNs <= nowNs }
      for rid in overdue.keys { state.pending[rid] = nil }
      scheduleSweep(&state)
      return overdue.values
    }
    for request in overdue { fail(request, .timeout(op: request.op)) }
  }

  /// Tells whoever waits for it, the subscription included; but in a cluster the subscription may go on elsewhere.
  func fail(_ request: PendingRequest, _ error: EscapementError) {
    request.caller?.resume(throwing: error)
    guard let subscription = request.subscription else { return }
    let isAlone = state.withLock { state in
      state.subscriptions[ObjectIdentifier(subscription)] = nil
      return state.cluster == nil
    }
    guard isAlone else { return }
    subscription.buffer.finish(.failure(error))
  }
}
