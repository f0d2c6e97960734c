// A client of a NATS cluster: one connection at a time, requests with replies, subscriptions.
//
// Holds:
//   - nothing waits and nothing looks at a clock: time is what the owner says, randomness follows from a seed;
//   - each call ends once: with its last reply, or unanswered. When a connection ends, all its calls end unanswered: whether
//     the server has taken them, nobody knows;
//   - nothing is sent a second time. A call without a connection ends unanswered at once;
//   - subscriptions stand again after each connecting, before `.connected` is told; what was published in between is missing;
//   - a server that answers no PING for `pongTimeoutMs`, or that sends what the protocol does not allow, is left.
// The order of a turn: `turn`, then `next` until it gives nil, then `flush`.
// Leaves to others: what subjects and payloads mean (JetStream), waiting (its owner), the network (NATSTransport).

import LineProtocol
import Primitives

/// Names a call.
public struct NATSCall: Hashable, Sendable {
  let number: UInt64
}

/// One thing that has happened. The views in it are good until the next call of `next`, `leaveServer` or `stop`.
public enum NATSEvent {
  /// A server has accepted us; subscriptions stand.
  case connected
  /// The connection has ended, or none came about; the reason in words, with the server.
  case disconnected(reason: String)
  /// A reply to a call. Unless the call takes several, it has ended with it.
  case reply(NATSCall, NATSMessage)
  /// The call has ended, and nobody knows what became of it: no reply in time, or the connection is gone.
  case unanswered(NATSCall)
  /// A message of a subscription.
  case message(NATSMessage)
  /// The server does not allow what we have asked for, and the connection goes on; the reason in the words of the server.
  case refused(reason: String)
}

/// A client. Used by one thread.
public final class NATSClient {
  enum Phase: Equatable {
    /// Not connected, and nothing to do before this time.
    case resting(untilMs: Int64)
    /// Waiting for the first INFO.
    case greeting
    /// Waiting for the PONG behind CONNECT.
    case introducing
    /// Accepted.
    case connected
  }

  struct Call {
    let number: UInt64
    let timeoutMs: Int64
    let takesSeveral: Bool
    var deadlineMs: Int64
  }

  // The most that one turn reads, so that a fast server leaves time for the rest of the loop.
  static let readsPerTurn = 64

  let settings: NATSSettings
  let transport: any NATSTransport
  let jsonReader = JSONReader()
  let inbox: String
  @exclusivity(unchecked) var pool: ServerPool
  @exclusivity(unchecked) var phase: Phase
  @exclusivity(unchecked) var link: Link?
  @exclusivity(unchecked) var frames = FrameReader()
  /// The bytes of the frame that was given last; taken out of the input before the next one.
  @exclusivity(unchecked) var givenBytes = 0
  @exclusivity(unchecked) var readsRemaining = 0
  @exclusivity(unchecked) var nowMs: Int64 = 0
  @exclusivity(unchecked) var calls: [Call] = []
  @exclusivity(unchecked) var lastCall: UInt64 = 0
  @exclusivity(unchecked) var subscriptions: [String] = []
  /// What has happened besides what lies in the input, oldest first.
  @exclusivity(unchecked) var notes: [NATSEvent] = []
  /// By when we must be connected, while we are connecting.
  @exclusivity(unchecked) var connectedByMs: Int64 = 0
  @exclusivity(unchecked) var nextPingMs: Int64 = 0
  /// When each PING was sent that has no PONG yet.
  @exclusivity(unchecked) var pingsMs: [Int64] = []
  /// When the connection ends at the latest, because the server wants to end.
  @exclusivity(unchecked) var leaveByMs: Int64?

  /// The server of the connection, or the one that is being connected to.
  public internal(set) var server: ServerAddress?
  /// What the server has said about itself; nil without a connection.
  public internal(set) var info: ServerInfo?

  /// Makes a client that connects at the first `turn`.
  ///
  /// - Parameters:
  ///   - transport: for this client alone.
  ///   - seed: another one for each client: what is random about it follows from it, such as the subject of its replies.
  public init(_ settings: NATSSettings, transport: any NATSTransport, seed: UInt64) {
    self.settings = settings
    self.transport = transport
    pool = ServerPool(settings.servers, seed: seed)
    inbox = "_INBOX.\(pool.drawName(letters: 22))."
    pool.beginRound(avoiding: nil)
    phase = .resting(untilMs: 0)
  }

  /// Whether calls are sent: a server has accepted us, and does not want to end.
  public var isConnected: Bool { phase == .connected && leaveByMs == nil }

  /// Subscribes, now and after each connecting.
  ///
  /// - Precondition: the subject is allowed (`Subject`).
  /// - Returns: the number that its messages carry.
  public func subscribe(to subject: String) -> UInt64 {
    precondition(Subject.isAllowed(subject), "a subscription has a subject that can be written")
    subscriptions.append(subject)
    // Number 1 is the inbox.
    let number = UInt64(subscriptions.count) + 1
    if phase == .connected { link?.output.appendSubscribe(subject, number) }
    return number
  }

  /// Publishes a message that asks for a reply. It leaves with the next `flush`.
  ///
  /// - Parameters:
  ///   - subject: a literal one (`Subject.isLiteral`).
  ///   - payload: together with the header no more than the server's `payloadBytesMax`.
  ///   - timeoutMs: how long to wait for a reply; with several, for each of them.
  ///   - takesSeveral: whether the call goes on after a reply, until `end`.
  public func request(
    _ subject: String, _ payload: UnsafeRawBufferPointer, header: NATSHeader? = nil, timeoutMs: Int64,
    takesSeveral: Bool = false
  ) -> NATSCall {
    lastCall += 1
    let call = NATSCall(number: lastCall)
    guard isConnected, let link else {
      notes.append(.unanswered(call))
      return call
    }
    calls.append(
      Call(number: lastCall, timeoutMs: timeoutMs, takesSeveral: takesSeveral, deadlineMs: nowMs &+ timeoutMs))
    link.output.appendPublish(subject, inbox: inbox, call: lastCall, header, payload)
    return call
  }

  /// Ends a call that takes several replies: no more of them come.
  public func end(_ call: NATSCall) { calls.removeAll { $0.number == call.number } }

  /// Ends the connection, and connects to another server after a pause, at least the usual one.
  public func leaveServer(reason: String, pauseMs: Int64 = 0) {
    disconnect(reason)
    guard case .resting(let untilMs) = phase else { return }
    phase = .resting(untilMs: max(untilMs, nowMs &+ pauseMs))
  }

  /// Ends the connection for good.
  public func stop() {
    disconnect("the client has ended")
    phase = .resting(untilMs: .max)
  }
}
