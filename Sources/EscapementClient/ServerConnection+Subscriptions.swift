// Subscriptions of one connection: opened, left, forgotten.

extension ServerConnection {
  /// Opens a subscription, and again on every connection that takes the place of this one.
  func open(_ subscription: SubscriptionState, deadlineNs: UInt64) async throws {
    state.withLock { $0.subscriptions[ObjectIdentifier(subscription)] = subscription }
    do {
      _ = try await request(subscription.line, isRepeatable: true, deadlineNs: deadlineNs, subscription: subscription)
    } catch {
      state.withLock { _ = $0.subscriptions.removeValue(forKey: ObjectIdentifier(subscription)) }
      throw error
    }
  }

  /// Leaves a subscription, if it is one of this connection.
  func leave(_ subscription: SubscriptionState, deadlineNs: UInt64) async throws {
    guard let number = forget(subscription) else { return }
    // A lost connection ends the subscription just as well.
    do {
      _ = try await request(Self.unsubscribeLine(number), isRepeatable: false, deadlineNs: deadlineNs)
    } catch EscapementError.connectionLost {
    } catch is RequestLost {}
  }

  /// Leaves a subscription whose last reference is gone.
  func leaveSoon(_ subscription: SubscriptionState) {
    if let number = forget(subscription) { leave(number: number) }
  }

  func leave(number: Int64) {
    state.withLock { state in
      state.flush(outbox)
      guard state.phase == .connected else { return }
      state.wire?.write(Self.unsubscribeLine(number).finished(rid: state.takeRid()))
    }
  }

  /// Ends a subscription here; gives its number, when it has one.
  func forget(_ subscription: SubscriptionState) -> Int64? {
    subscription.buffer.finish(.success(()))
    return state.withLock { state in
      state.subscriptions[ObjectIdentifier(subscription)] = nil
      guard let number = state.subscriptionsByNumber.first(where: { $0.value === subscription })?.key else {
        return nil
      }
      state.subscriptionsByNumber[number] = nil
      return number
    }
  }

  private static func unsubscribeLine(_ number: Int64) -> RequestLine {
    var line = RequestLine("unsubscribe")
    line.set("sub", number)
    return line
  }
}
