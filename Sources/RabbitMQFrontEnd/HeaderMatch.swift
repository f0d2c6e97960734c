// How a binding of a headers exchange matches the headers of a message.

/// The match of one binding.
public struct HeaderMatch: Sendable {
  /// Whether every header must match, or one.
  public let needsAll: Bool
  /// The headers to look for; null asks for presence only.
  public let wanted: [JSONTree.Member]

  /// Reads the arguments of a binding; nil when `x-match` has another value than `all`, `any`, `all-with-x`, `any-with-x`.
  public init?(_ arguments: [JSONTree.Member]) {
    let kind = arguments.first { $0.key == "x-match" }?.value ?? .string("all")
    switch kind {
    case .string("all"), .string("all-with-x"): needsAll = true
    case .string("any"), .string("any-with-x"): needsAll = false
    default: return nil
    }
    let skipsX = kind == .string("all") || kind == .string("any")
    wanted = arguments.filter { skipsX ? !$0.key.hasPrefix("x-") : $0.key != "x-match" }
  }

  /// Whether a message with these headers matches. O(wanted).
  public func matches(_ headers: [Text: JSONTree]) -> Bool {
    func isThere(_ member: JSONTree.Member) -> Bool {
      guard let value = headers[member.key] else { return false }
      return member.value == .null || value.isSame(as: member.value)
    }
    return needsAll ? wanted.allSatisfy(isThere) : wanted.contains(where: isThere)
  }
}
