// Where a server listens.

/// A host name or address with a port.
public struct ServerAddress: Sendable, Hashable, CustomStringConvertible {
  /// The host's name or address; an IPv6 address without its brackets.
  public let host: String
  /// The port.
  public let port: Int

  /// Makes an address.
  public init(host: String, port: Int) {
    self.host = host
    self.port = port
  }

  /// Reads `HOST:PORT`, or `[V6]:PORT`; nil when it is neither.
  public init?(_ text: String) {
    guard let colon = text.lastIndex(of: ":"), colon != text.startIndex,
      let port = UInt16(text[text.index(after: colon)...])
    else { return nil }
    let host = text[..<colon]
    self.init(
      host: String(host.hasPrefix("[") && host.hasSuffix("]") ? host.dropFirst().dropLast() : host), port: Int(port))
  }

  /// `HOST:PORT`, with brackets around an IPv6 address.
  public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}
