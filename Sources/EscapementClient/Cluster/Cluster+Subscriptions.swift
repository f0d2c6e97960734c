// Subscriptions and acknowledgements in a cluster: they go to who leads their topic, and to the next one after it.
//
// Holds: acknowledgements are sent before a subscription is opened again, so that what they are for does not come again.

extension Cluster {
  /// Opens a subscription at the leader of its topic.
  func open(_ subscription: SubscriptionState, deadlineNs: UInt64) async throws {
    state.withLock { $0.subscriptions[ObjectIdentifier(subscription)] = subscription }
    do {
      _ = try await request(subscription.line, isRepeatable: true, deadlineNs: deadlineNs, subscription: subscription)
    } catch {
      forget(subscription)
      throw error
    }
  }

  func leave(_ subscription: SubscriptionState, deadlineNs: UInt64) async throws {
    forget(subscription)
    await sendAcks()
    for connection in connections { try await connection.leave(subscription, deadlineNs: deadlineNs) }
  }

  func leaveSoon(_ subscription: SubscriptionState) {
    forget(subscription)
    sendOutbox()
    for connection in connections { connection.leaveSoon(subscription) }
  }

  private func forget(_ subscription: SubscriptionState) {
    state.withLock { _ = $0.subscriptions.removeValue(forKey: ObjectIdentifier(subscription)) }
  }

  private var connections: [ServerConnection] { state.withLock { Array($0.open.values) } }

  // MARK: After a loss

  /// Opens lost subscriptions again. What lies unread comes again, as the server sends it.
  func renew(_ lost: [SubscriptionState], reason: String) {
    let subscriptions = lost.filter { isOpen($0) }
    for subscription in subscriptions { subscription.buffer.dropUntaken() }
    guard configuration.reconnect != nil else {
      return end(subscriptions, .connectionLost(reason: reason))
    }
    Task { [weak self] in
      await self?.sendAcks()
      for subscription in subscriptions { Task { [weak self] in await Self.renew(subscription, Weak(self)) } }
    }
  }

  /// Tries again and again. The cluster is looked up each time, so that a forgotten one goes away.
  private static func renew(_ subscription: SubscriptionState, _ owner: Weak<Cluster>) async {
    var attempt = 1
    while let cluster = owner.object, cluster.isOpen(subscription), let rule = cluster.configuration.reconnect {
      cluster.configuration.onEvent?(.reconnecting(attempt: attempt, delayMs: 0))
      do {
        let deadlineNs = ServerConnection.deadlineNs(afterMs: cluster.configuration.requestTimeoutMs)
        _ = try await cluster.request(
          subscription.line, isRepeatable: true, deadlineNs: deadlineNs, subscription: subscription)
        // Whoever has left it meanwhile did not find it.
        if !cluster.isOpen(subscription) { cluster.leaveSoon(subscription) }
        return
      } catch let error as EscapementError {
        if case .refused = error { return cluster.end([subscription], error) }
        if attempt >= rule.attemptsMax ?? .max {
          cluster.configuration.onEvent?(.gaveUp(reason: "\(error)"))
          return cluster.end([subscription], .connectionLost(reason: "\(error)"))
        }
      } catch { return }
      attempt += 1
    }
  }

  private func isOpen(_ subscription: SubscriptionState) -> Bool {
    state.withLock { $0.subscriptions[ObjectIdentifier(subscription)] != nil }
  }

  private func end(_ subscriptions: [SubscriptionState], _ error: EscapementError) {
    for subscription in subscriptions {
      forget(subscription)
      subscription.buffer.finish(.failure(error))
    }
  }

  // MARK: Acknowledgements

  /// Sends what the outbox holds, each to the leader of its topic.
  func sendOutbox() {
    let rest = writeAcks()
    if !rest.isEmpty { Task { [weak self] in await self?.send(rest) } }
  }

  /// Sends what the outbox holds; returns when it is on its way.
  func sendAcks() async { await send(writeAcks()) }

  /// Gives the acknowledgements whose topic has no connection at the moment. Nacks and touches die with theirs, since its
  /// loss already makes the server deliver again.
  private func writeAcks() -> [RequestLine] {
    writingAcks.withLock { _ in
      outbox.take().filter { line in
        let leader = state.withLock { state in state.leaders[line.place].flatMap { state.open[$0] } }
        return leader?.write(unanswered: line.unanswered) != true && line.op == "ack"
      }
    }
  }

  private func send(_ acks: [RequestLine]) async {
    for line in acks {
      // An acknowledgement that cannot be brought is a message that comes again.
      let deadlineNs = ServerConnection.deadlineNs(afterMs: configuration.requestTimeoutMs)
      _ = try? await request(line, isRepeatable: true, deadlineNs: deadlineNs)
    }
  }
}
