// How to reach the servers, and who we say we are.

import TLS

/// Who a client says it is.
public enum NATSCredentials: Equatable, Sendable {
  /// Nobody.
  case none
  /// A user and its password.
  case password(user: String, password: String)
  /// A token.
  case token(String)
}

/// What a connection does about TLS.
public enum TLSUse: Sendable {
  /// Nothing; a server that requires it is refused.
  case never
  /// Whatever the server requires; anything else goes over the network as it is.
  case whenRequired(TLSContext)
  /// Nothing is sent without it; a server that does not offer it is refused.
  case always(TLSContext)

  var context: TLSContext? {
    switch self {
    case .never: nil
    case .whenRequired(let context), .always(let context): context
    }
  }
}

/// The settings of a client.
public struct NATSSettings: Sendable {
  /// The servers to begin with; at least one. More are learned from them.
  public var servers: [ServerAddress]
  /// The name that the servers show.
  public var name: String
  /// Who it is, where the address does not say otherwise.
  public var credentials: NATSCredentials
  /// Whether TLS is used.
  public var tls: TLSUse
  /// How long connecting to one server may take, until it has accepted us, in ms.
  public var connectTimeoutMs: Int64 = 2000
  /// How often the server is asked whether it is there, in ms.
  public var pingEveryMs: Int64 = 1000
  /// After so many ms without the answer to that the connection is dead.
  public var pongTimeoutMs: Int64 = 3000
  /// How long a server that is about to end may take for what it was asked already, in ms.
  public var leavingTimeoutMs: Int64 = 1000

  /// Settings with the usual times.
  public init(
    servers: [ServerAddress], name: String, credentials: NATSCredentials = .none, tls: TLSUse = .never
  ) {
    self.servers = servers
    self.name = name
    self.credentials = credentials
    self.tls = tls
  }
}
