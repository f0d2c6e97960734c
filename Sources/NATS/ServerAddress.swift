// The address of a server, as people write it and as servers tell it.
//
// Holds: host and port are there. User, password and token are never shown.
// Leaves to others: what the name stands for in the network (SocketTransport).

/// Where a server is, and how it is spoken to.
public struct ServerAddress: Equatable, Sendable, CustomStringConvertible {
  /// A name or an address; of IPv6 without brackets.
  public let host: String
  /// The port.
  public let port: UInt16
  /// Who we are there; `.none`: whoever we are everywhere.
  public let credentials: NATSCredentials
  /// Whether TLS is a must there (`tls://`).
  public let mustUseTLS: Bool
  /// The name that its certificate is for.
  let certificateHost: String

  static let defaultPort: UInt16 = 4222

  /// As people read it, without secrets.
  public var description: String { "\(host.contains(":") ? "[\(host)]" : host):\(port)" }

  /// Reads a list such as `nats://user:password@one.example:4222,nats://two.example`.
  ///
  /// An address is `[nats://|tls://][user[:password]@]host[:port]`; a user alone is a token. What stands before `@` may have
  /// `%2F` and the like for what would not be clear otherwise.
  public static func list(_ text: String) throws(ServerAddressError) -> [ServerAddress] {
    var list: [ServerAddress] = []
    for part in text.split(separator: ",", omittingEmptySubsequences: false) { list.append(try ServerAddress(part)) }
    return list
  }

  init(_ text: Substring) throws(ServerAddressError) {
    var rest = text
    var mustUseTLS = false
    if let end = text.firstRange(of: "://") {
      switch text[..<end.lowerBound] {
      case "nats": break
      case "tls": mustUseTLS = true
      default: throw ServerAddressError("'\(text[..<end.lowerBound])://' is neither nats:// nor tls://")
      }
      rest = text[end.upperBound...]
    }
    var credentials = NATSCredentials.none
    if let at = rest.lastIndex(of: "@") {
      credentials = try Self.credentials(rest[..<at])
      rest = rest[rest.index(after: at)...]
    }
    let (host, port) = try Self.hostAndPort(rest)
    self.init(host: host, port: port, credentials: credentials, mustUseTLS: mustUseTLS, certificateHost: host)
  }

  /// One that a server has told: `host:port`, spoken to as that server is. Nil for what is none.
  init?(told text: String, by teller: ServerAddress) {
    guard let (host, port) = try? Self.hostAndPort(text[...]) else { return nil }
    // Servers tell addresses, certificates mostly have names: the name that is known to be good.
    self.init(
      host: host, port: port, credentials: teller.credentials, mustUseTLS: teller.mustUseTLS,
      certificateHost: teller.certificateHost)
  }

  private init(
    host: String, port: UInt16, credentials: NATSCredentials, mustUseTLS: Bool, certificateHost: String
  ) {
    self.host = host
    self.port = port
    self.credentials = credentials
    self.mustUseTLS = mustUseTLS
    self.certificateHost = certificateHost
  }

  func isSamePlace(as other: ServerAddress) -> Bool { host == other.host && port == other.port }

  private static func credentials(_ text: Substring) throws(ServerAddressError) -> NATSCredentials {
    guard let colon = text.firstIndex(of: ":") else { return .token(try unescaped(text)) }
    return .password(user: try unescaped(text[..<colon]), password: try unescaped(text[text.index(after: colon)...]))
  }

  private static func hostAndPort(_ text: Substring) throws(ServerAddressError) -> (String, UInt16) {
    let isBracketed = text.first == "["
    guard let hostEnd = isBracketed ? text.firstIndex(of: "]") : text.firstIndex(of: ":") ?? text.endIndex else {
      throw ServerAddressError("'\(text)' has a '[' without a ']'")
    }
    let host = isBracketed ? text[..<hostEnd].dropFirst() : text[..<hostEnd]
    let behind = isBracketed ? text[hostEnd...].dropFirst() : text[hostEnd...]
    guard !host.isEmpty, host.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "/") }) else {
      throw ServerAddressError("'\(text)' has no host; an address is nats://[user:password@]host[:port]")
    }
    guard !behind.isEmpty else { return (String(host), defaultPort) }
    guard behind.first == ":", let port = UInt16(behind.dropFirst()), port > 0 else {
      throw ServerAddressError("'\(text)' has no port from 1 to 65535 behind its host")
    }
    return (String(host), port)
  }

  /// Without `%xx`.
  private static func unescaped(_ text: Substring) throws(ServerAddressError) -> String {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
      guard byte == UInt8(ascii: "%") else {
        bytes.append(byte)
        continue
      }
      guard rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) else {
        throw ServerAddressError("user or password has a '%' that no two hexadecimal digits follow")
      }
      bytes.append(value)
      rest = rest.dropFirst(2)
    }
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw ServerAddressError("user or password is not UTF-8")
    }
    return text
  }
}

/// Why a text is no address of a server.
public struct ServerAddressError: Error, Equatable, Sendable, CustomStringConvertible {
  /// What is wrong, without secrets.
  public let description: String

  init(_ description: String) { self.description = description }
}
