// A grant: rights on the names that a pattern matches.
//
// Written `RIGHT[,RIGHT…]:[KIND:]PATTERN`: `schedule:orders.*`, `consume,inspect:queue:mail`, `all:*`.
// Holds: rights do not imply each other; `all` is short for the five of them. Without a KIND a pattern is about topics,
// queues, exchanges and groups alike. A colon that belongs to a name is written `\:` where no KIND stands in front of it,
// so that a KIND with a typing error is never taken for a name.
// Leaves to others: which operation needs which right on which names (the server's operation table).

/// What may be done.
public enum Right: String, CaseIterable, Sendable {
  /// Make messages: schedule, publish.
  case schedule
  /// Receive messages, and acknowledge or refuse them.
  case consume
  /// Take messages back or move them in time.
  case cancel
  /// Look at what there is.
  case inspect
  /// Make, change and remove what messages live in.
  case admin
}

/// What a name is the name of.
public enum ResourceKind: String, CaseIterable, Sendable {
  /// A topic.
  case topic
  /// A queue.
  case queue
  /// An exchange.
  case exchange
  /// A group of consumers.
  case group
}

/// Rights on names.
public struct Grant: Hashable, Sendable {
  /// The rights.
  public let rights: Set<Right>
  /// The kind of names; nil: all kinds.
  public let kind: ResourceKind?
  /// The names.
  public let pattern: Pattern
  /// As it was written.
  public let text: String

  /// All rights on all names.
  public static let everything = Grant(rights: Set(Right.allCases), kind: nil, pattern: .everything, text: "all:*")

  private init(rights: Set<Right>, kind: ResourceKind?, pattern: Pattern, text: String) {
    (self.rights, self.kind, self.pattern, self.text) = (rights, kind, pattern, text)
  }

  /// Reads a grant.
  ///
  /// - Throws: `badGrant`, saying what is wrong with it.
  public init(_ text: String) throws(AccessError) {
    self.text = text
    let bytes = Array(text.utf8)[...]
    guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else {
      throw .badGrant("'\(text)' is no grant; write RIGHT:PATTERN, such as schedule:orders.*")
    }
    rights = try Self.rights(bytes[..<colon])
    let rest = bytes[(colon + 1)...]
    if let end = Self.endOfKind(rest) {
      kind = try Self.kind(rest[..<end])
      pattern = try Pattern(rest[(end + 1)...])
    } else {
      guard !rest.isEmpty else { throw .badGrant("'\(text)' has no pattern; write '*' for all names") }
      kind = nil
      pattern = try Pattern(rest)
    }
  }

  private static func rights(_ text: ArraySlice<UInt8>) throws(AccessError) -> Set<Right> {
    var rights: Set<Right> = []
    for word in text.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false) {
      let word = String(decoding: word, as: UTF8.self)
      if word == "all" {
        rights.formUnion(Right.allCases)
      } else if let right = Right(rawValue: word) {
        rights.insert(right)
      } else {
        let names = Right.allCases.map(\.rawValue).joined(separator: ", ")
        throw AccessError.badGrant("'\(word)' is no right; there are \(names), and all")
      }
    }
    return rights
  }

  /// The first colon that no `\` stands in front of: there a kind ends.
  private static func endOfKind(_ text: ArraySlice<UInt8>) -> Int? {
    var place = text.startIndex
    while place < text.endIndex {
      if text[place] == UInt8(ascii: ":") { return place }
      place += text[place] == UInt8(ascii: "\\") ? 2 : 1
    }
    return nil
  }

  private static func kind(_ text: ArraySlice<UInt8>) throws(AccessError) -> ResourceKind {
    let word = String(decoding: text, as: UTF8.self)
    guard let kind = ResourceKind(rawValue: word) else {
      let names = ResourceKind.allCases.map(\.rawValue).joined(separator: ", ")
      throw .badGrant("'\(word)' is no kind of name; there are \(names); a colon in a name is written '\\:'")
    }
    return kind
  }
}
