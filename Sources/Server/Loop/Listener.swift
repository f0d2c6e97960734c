// A place where connections come in, and the wire that they speak.

/// An address to listen on.
public struct ListenAddress: Sendable, CustomStringConvertible {
  /// A name or an address; empty or `*` for all of this machine's.
  public var host: String
  /// The port; 0 picks one.
  public var port: UInt16
  /// What is spoken there.
  public var wire: Wire
  /// Whether the server does not start without it; else a port that is taken is reported and left out.
  public var isRequired: Bool

  /// Puts the four together.
  public init(host: String, port: UInt16, wire: Wire, isRequired: Bool = true) {
    self.host = host
    self.port = port
    self.wire = wire
    self.isRequired = isRequired
  }

  /// `HOST:PORT`, an address of IPv6 in brackets.
  public var description: String { "\(host.contains(":") ? "[\(host)]" : host):\(port)" }
}

/// An open listener.
struct Listener {
  let descriptor: Int32
  /// The host that was asked for.
  let host: String
  let port: UInt16
  let wire: Wire
}
