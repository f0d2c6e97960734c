// Whether a request is meant for this server, and was not sent by a page of somebody else's.
//
// A browser sends what any page tells it to, also to servers that only its own machine can reach. It says which page that was
// (`Origin`), and which name it believes to speak to (`Host`): a name of the attacker's that was made to point here is found
// out by that. An address instead of a name cannot be made to point anywhere else.
//
// Leaves to others: which names the server has (a setting).

/// The names that a server answers to.
public struct HTTPAudience: Sendable {
  private let names: [[UInt8]]

  /// - Parameter names: hosts without ports, beside `localhost` and all addresses.
  public init(names: [String] = []) { self.names = (["localhost"] + names).map { Array($0.utf8) } }

  /// Refuses a request for another host or from a page of another origin.
  ///
  /// - Throws: `foreignHost`, `foreignOrigin`.
  public func check(_ request: HTTPRequest) throws(HTTPError) {
    if let host = request.host {
      guard answers(to: Self.splitHost(host).name) else { throw .foreignHost }
    }
    guard request.count(of: "Origin") > 0 else { return }
    guard request.count(of: "Origin") == 1, let origin = request.field("Origin"), let host = request.host,
      Self.isOrigin(origin, of: host)
    else { throw .foreignOrigin }
  }

  private func answers(to name: UnsafeRawBufferPointer) -> Bool {
    if name.first == UInt8(ascii: "[") || Self.isIPv4(name) { return true }
    return names.contains { own in own.withUnsafeBytes { $0.isSameWord(as: name) } }
  }

  /// Whether the origin is a page of this host; the scheme is that of whatever stands in front of this server.
  private static func isOrigin(_ origin: UnsafeRawBufferPointer, of host: UnsafeRawBufferPointer) -> Bool {
    for scheme: StaticString in ["http://", "https://"] {
      let length = scheme.utf8CodeUnitCount
      if origin.count > length, origin.part(0..<length).isWord(scheme),
        origin.part(length..<origin.count).isSameWord(as: host)
      {
        return true
      }
    }
    return false
  }

  /// Whether the value of a `Host` field is a name or an address, with a port or without.
  static func isHost(_ value: UnsafeRawBufferPointer) -> Bool {
    let (name, port) = splitHost(value)
    if let port, port.count > 5 || !port.allSatisfy(\.isDigit) { return false }
    guard let first = name.first else { return false }
    if first == UInt8(ascii: "[") {
      return name.count > 2 && name.last == UInt8(ascii: "]")
        && name.dropFirst().dropLast().allSatisfy {
          $0.isDigit || $0 == UInt8(ascii: ":") || $0 == UInt8(ascii: ".")
            || $0.lowercased &- UInt8(ascii: "a") < 6
        }
    }
    return name.allSatisfy {
      $0.isDigit || $0.lowercased &- UInt8(ascii: "a") < 26 || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "-")
        || $0 == UInt8(ascii: "_")
    }
  }

  /// The part in front of the last colon that is not inside brackets, and what stands behind it.
  private static func splitHost(
    _ value: UnsafeRawBufferPointer
  ) -> (name: UnsafeRawBufferPointer, port: UnsafeRawBufferPointer?) {
    guard let colon = value.lastIndex(of: UInt8(ascii: ":")),
      !value.part(colon..<value.count).contains(UInt8(ascii: "]"))
    else { return (value, nil) }
    return (value.part(0..<colon), value.part((colon + 1)..<value.count))
  }

  private static func isIPv4(_ name: UnsafeRawBufferPointer) -> Bool {
    let parts = name.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
    return parts.count == 4
      && parts.allSatisfy { (1...3).contains($0.count) && $0.allSatisfy(\.isDigit) && Int(decimal: $0) <= 255 }
  }
}

extension Int {
  /// - Precondition: digits only, few enough not to overflow.
  fileprivate init(decimal digits: Slice<UnsafeRawBufferPointer>) {
    self = digits.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
  }
}
