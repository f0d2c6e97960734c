// How a client behaves: limits, time-outs, reconnection.

/// How long to wait before connecting again.
public struct ReconnectBackoff: Sendable, Equatable {
  /// The longest wait before the first attempt, in ms.
  public var initialMs: Int64
  /// The longest wait of all, in ms.
  public var maxMs: Int64
  /// Attempts before giving up; nil: never.
  public var attemptsMax: Int?

  /// Makes a rule. The defaults double from 100 ms up to 10 s and never give up.
  public init(initialMs: Int64 = 100, maxMs: Int64 = 10_000, attemptsMax: Int? = nil) {
    self.initialMs = max(1, initialMs)
    self.maxMs = max(self.initialMs, maxMs)
    self.attemptsMax = attemptsMax
  }

  /// The wait before attempt `attempt` (1, 2, …) in ms: a random part between half and the whole of
  /// `min(maxMs, initialMs · 2^(attempt−1))`, so that many clients do not come back at the same moment.
  public func delayMs(attempt: Int, random: UInt64) -> Int64 {
    var ceilingMs = initialMs
    for _ in 1..<max(2, min(attempt, 63)) where attempt > 1 && ceilingMs < maxMs {
      let (doubled, overflow) = ceilingMs.multipliedReportingOverflow(by: 2)
      ceilingMs = overflow ? maxMs : min(maxMs, doubled)
    }
    let half = ceilingMs / 2
    return half + Int64(random % UInt64(ceilingMs - half + 1))
  }
}

/// What happens to a client's connection and subscriptions, for logs and displays.
public enum ConnectionEvent: Sendable, Equatable {
  /// A session stands; `again` when it replaces a lost one, subscriptions and repeatable requests included.
  case connected(again: Bool)
  /// The connection broke.
  case lost(reason: String)
  /// The next attempt follows after this wait.
  case reconnecting(attempt: Int, delayMs: Int64)
  /// Reconnection was given up; requests and subscriptions fail with this reason.
  case gaveUp(reason: String)
  /// A request that asked for no reply was refused.
  case refusedUnanswered(code: RefusalCode, message: String)
  /// Retention took the messages from `fromOffset` up to before `toOffset` before this subscription had them; what follows
  /// begins at `toOffset`.
  case truncated(topic: String, group: String?, fromOffset: UInt64, toOffset: UInt64)
  /// The server ended a subscription for good (`topic_deleted`); its sequence ends behind what has come.
  case ended(topic: String, group: String?, reason: String)
}

/// Whom a client trusts, and what it shows, when it speaks TLS.
public struct TLSConfiguration: Sendable, Equatable {
  /// A file of certificates as PEM: the authorities of the server, or its own certificate; nil: those that the system trusts.
  public var authorities: String?
  /// What the client shows to servers that want to see a certificate, as PEM; nil for nothing.
  public var certificate: String?
  /// The private key of that, as PEM without a passphrase; nil: in the same file.
  public var key: String?
  /// The name that the server's certificate must be for; nil: the host that is connected to.
  public var serverName: String?

  /// Makes settings.
  public init(
    authorities: String? = nil, certificate: String? = nil, key: String? = nil, serverName: String? = nil
  ) {
    self.authorities = authorities
    self.certificate = certificate
    self.key = key
    self.serverName = serverName
  }
}

/// A client's settings.
public struct Configuration: Sendable {
  /// How to speak TLS, with the OpenSSL 3 that is installed; nil: connections are plain.
  public var tls: TLSConfiguration?
  /// The token for servers that want one.
  public var token: String?
  /// The name this client gives itself in `hello`.
  public var clientName: String
  /// How long to wait for a connection, in ms.
  public var connectTimeoutMs: Int64
  /// How long to wait for a reply, in ms; time without a connection counts. A waiting `fetch` adds its wait.
  public var requestTimeoutMs: Int64
  /// How to come back after a lost connection; nil: not at all.
  public var reconnect: ReconnectBackoff?
  /// The most requests that may wait for replies at once.
  public var pendingMax: Int
  /// The most unread messages of a subscription without a group (one with a group is bounded by its credit).
  public var tailBufferMax: Int
  /// The longest line taken from the server.
  public var replyBytesMax: Int
  /// Called on every event, from any thread; must return soon.
  public var onEvent: (@Sendable (ConnectionEvent) -> Void)?
  /// How often a leader of a cluster is asked for a sign of life while it answers nothing, in ms.
  var pingEveryMs: Int64 = 1_000

  /// Makes settings.
  public init(
    token: String? = nil, tls: TLSConfiguration? = nil, clientName: String = "EscapementClient",
    connectTimeoutMs: Int64 = 5_000,
    requestTimeoutMs: Int64 = 30_000, reconnect: ReconnectBackoff? = ReconnectBackoff(), pendingMax: Int = 65_536,
    tailBufferMax: Int = 65_536, replyBytesMax: Int = 256 << 20,
    onEvent: (@Sendable (ConnectionEvent) -> Void)? = nil
  ) {
    self.token = token
    self.tls = tls
    self.clientName = clientName
    self.connectTimeoutMs = connectTimeoutMs
    self.requestTimeoutMs = requestTimeoutMs
    self.reconnect = reconnect
    self.pendingMax = pendingMax
    self.tailBufferMax = tailBufferMax
    self.replyBytesMax = replyBytesMax
    self.onEvent = onEvent
  }
}
