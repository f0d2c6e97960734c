// A place where connections come in, and the wire that they speak.

/// An address to listen on.
public struct ListenAddress: Sendable, CustomStringConvertible {
  /// A name or an address; empty or `*` for all of this machine's.
  public var host: String
  /// The port; 0 picks one.
  public var port: UInt16
  /// What is spoken there.
  public var wire: Wire

  /// Puts the three together.
  public init(host: String, port: UInt16, wire: Wire) {
    self.host = host
    self.port = port
    self.wire = wire
  }

  /// `HOST:PORT`, an address of IPv6 in brackets.
  public var description: String { "\(host.contains(":") ? "[\(host)]" : host):\(port)" }
}

/// An open listener.
struct Listener {
  let descriptor: Int32
  let port: UInt16
  let wire: Wire
}
