// The client: one connection, many requests and subscriptions under way on it.
//
// Holds: every request is answered once, by its reply, an error, its time-out or the caller's cancellation; replies find
// their requests by number (`rid`), so any order will do; all state is behind one lock, and nothing is resumed inside it.
// Leaves to others: bytes and threads (Wire), opening sessions (+Session), sending and time-outs (+Requests), lines that
// come in (+Receive), the operations themselves (+Scheduling, +Consuming, +Topics).

import Dispatch
import Synchronization

/// A connection to an Escapement server, shared by any number of tasks.
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
public final class EscapementClient: Sendable {
  /// The server's host name or address.
  public let host: String
  /// The server's port.
  public let port: Int
  /// The settings.
  public let configuration: Configuration

  let state = Mutex(State())
  let outbox: AckOutbox
  let timers = DispatchQueue(label: "escapement.client.timers")

  /// Makes a client; nothing is sent before `connect()`.
  public init(host: String = "127.0.0.1", port: Int = 7611, configuration: Configuration = Configuration()) {
    self.host = host
    self.port = port
    self.configuration = configuration
    let owner = WeakClient()
    outbox = AckOutbox { owner.client?.sendOutbox() }
    owner.client = self
  }

  deinit { state.withLock { $0.wire }?.shutDown() }

  func report(_ event: ConnectionEvent) { configuration.onEvent?(event) }
}

/// A way to the client that does not keep it alive.
final class WeakClient: Sendable {
  private struct Reference { weak var value: EscapementClient? }
  private let reference = Mutex(Reference())

  var client: EscapementClient? {
    get { reference.withLock { $0.value } }
    set { reference.withLock { $0.value = newValue } }
  }
}

extension EscapementClient {
  enum Phase { case idle, connecting, connected, reconnecting, closed }

  struct State {
    var phase = Phase.idle
    var wire: Wire?
    /// Counts connections, so that news from an old one is not taken for news from this one.
    var generation = 0
    var nextRid: Int64 = 1
    var pending: [Int64: PendingRequest] = [:]
    var subscriptions: [ObjectIdentifier: SubscriptionState] = [:]
    /// The subscriptions by the number the server gave them, valid for this connection.
    var subscriptionsByNumber: [Int64: SubscriptionState] = [:]
    var session: ServerInfo?
    /// The last error the server sent that belongs to no request: why it is about to close.
    var lastComplaint: String?
    var isSweepScheduled = false
    var reconnecting: Task<Void, Never>?

    /// Sends what the outbox holds. Before every other request, so that a reply vouches for earlier acknowledgements.
    mutating func flush(_ outbox: AckOutbox) {
      guard phase == .connected, let wire else { return }
      for line in outbox.take() { wire.write(line.finished(rid: takeRid())) }
    }

    mutating func takeRid() -> Int64 {
      defer { nextRid += 1 }
      return nextRid
    }
  }

  /// A request that waits for its reply.
  struct PendingRequest: Sendable {
    let op: String
    let line: [UInt8]
    /// Sending it twice does what sending it once does.
    let isRepeatable: Bool
    /// Part of opening a session; goes out before anything else may, and dies with its connection.
    let isSession: Bool
    let deadlineNs: UInt64
    /// The subscription this request opens.
    let subscription: SubscriptionState?
    /// nil: nobody waits (a renewed subscription).
    let caller: CheckedContinuation<Reply, any Error>?
    /// How often it was written; above 1, an earlier one may have taken effect.
    var sends = 0
    var isOnWire = false
  }

  /// A reply and how it was come by.
  struct Reply: Sendable {
    let json: RawJSON
    let fields: RawObject
    /// The request went out more than once.
    let wasRepeated: Bool
  }
}
