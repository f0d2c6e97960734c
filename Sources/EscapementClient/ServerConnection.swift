// A connection to one server: many requests and subscriptions under way on it.
//
// Holds: every request is answered once, by its reply, an error, its time-out or the caller's cancellation; replies find
// their requests by number (`rid`), so any order will do; all state is behind one lock, and nothing is resumed inside it.
// By itself it is built up again when it is lost; the connection of a cluster (`state.cluster`) ends then, and the cluster
// decides what becomes of its requests and subscriptions.
// Leaves to others: bytes and threads (Wire), opening sessions (+Session), sending and time-outs (+Requests), lines that
// come in (+Receive), subscriptions (+Subscriptions), what is asked (EscapementClient), who leads (Cluster).

import Dispatch
import Synchronization

final class ServerConnection: Sendable {
  let address: ServerAddress
  let configuration: Configuration
  let outbox: AckOutbox

  let state = Mutex(State())
  let timers = DispatchQueue(label: "escapement.client.timers")

  init(_ address: ServerAddress, _ configuration: Configuration, _ outbox: AckOutbox) {
    self.address = address
    self.configuration = configuration
    self.outbox = outbox
  }

  deinit { state.withLock { $0.wire }?.shutDown() }

  func report(_ event: ConnectionEvent) { configuration.onEvent?(event) }

  var isIdle: Bool { state.withLock { $0.phase == .idle } }

  /// The server's introduction in the session of the moment; nil before the first.
  var server: ServerInfo? { state.withLock { $0.session } }
}

/// A way to an object that does not keep it alive.
final class Weak<Object: AnyObject & Sendable>: Sendable {
  private struct Reference { weak var value: Object? }
  private let reference: Mutex<Reference>

  init(_ object: Object? = nil) { reference = Mutex(Reference(value: object)) }

  var object: Object? {
    get { reference.withLock { $0.value } }
    set { reference.withLock { $0.value = newValue } }
  }
}

extension ServerConnection {
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
    /// The cluster that this connection is one of; nil: the server stands alone.
    var cluster: Weak<Cluster>?
    /// Pings of the cluster since the last line came.
    var silentPings = 0

    /// Sends what the outbox holds. Before every other request, so that a reply vouches for earlier acknowledgements.
    /// In a cluster the acknowledgements are for several connections; it sends them.
    mutating func flush(_ outbox: AckOutbox) {
      guard cluster == nil, phase == .connected, let wire else { return }
      for line in outbox.take() { wire.write(line.unanswered.finished(rid: takeRid())) }
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
}

/// A reply and how it was come by.
struct Reply: Sendable {
  let json: RawJSON
  let fields: RawObject
  /// The request went out more than once.
  var wasRepeated: Bool
}
