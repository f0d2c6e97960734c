// A subscription: what the application holds, and what the client knows about it.

/// What is needed to renew a subscription and to hand its messages over.
final class SubscriptionState: Sendable {
  let topic: String
  let group: String?
  let line: RequestLine
  let buffer: DeliveryBuffer

  init(topic: String, group: String?, line: RequestLine, buffer: DeliveryBuffer) {
    self.topic = topic
    self.group = group
    self.line = line
    self.buffer = buffer
  }
}

/// Messages as they come. Several tasks may iterate over one subscription; each message goes to one of them.
///
/// The sequence ends after `cancel()` or `close()`, gives nil when the iterating task is cancelled, and throws when the
/// subscription cannot be kept up (`refused`, `connectionLost` when reconnection was given up, `fellBehind`).
public final class Subscription: AsyncSequence, Sendable {
  /// What the sequence gives.
  public typealias Element = Delivery

  private let client: EscapementClient
  private let state: SubscriptionState

  init(client: EscapementClient, state: SubscriptionState) {
    self.client = client
    self.state = state
  }

  deinit { client.leaveSoon(state) }

  /// The topic it reads.
  public var topic: String { state.topic }
  /// The group it is a member of.
  public var group: String? { state.group }

  /// Starts taking messages.
  public func makeAsyncIterator() -> Iterator { Iterator(subscription: self) }

  /// Waits until the server has every acknowledgement made so far.
  public func flush() async throws { try await client.flush(state) }

  /// Leaves the subscription. Acknowledgements made so far reach the server first.
  public func cancel() async throws { try await client.leave(state) }

  /// Takes messages one by one.
  public struct Iterator: AsyncIteratorProtocol {
    let subscription: Subscription

    /// The next message; nil at the end.
    public mutating func next() async throws -> Delivery? { try await subscription.state.buffer.next() }
  }
}
