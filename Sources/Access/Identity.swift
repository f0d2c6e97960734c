// Who a client is, and what it may do.
//
// Holds: an identity never changes; a reload of the access file makes new ones. So an answer of `allows` can be kept for
// as long as the identity is.
// Leaves to others: when to ask and with which right (the server), what a connection that outlives its entry may still do.

/// A name with its rights. Shared by all connections that showed the same secret.
public final class Identity: Sendable {
  /// The name of the entry; for logs and metrics.
  public let name: String
  /// The rights as they are written in the file.
  public let grants: [Grant]
  // The patterns for each right and kind, at `right × kinds + kind`.
  private let patterns: [[Pattern]]

  /// Makes an identity.
  public init(name: String, grants: [Grant]) {
    self.name = name
    self.grants = grants
    patterns = Right.allCases.flatMap { right in
      ResourceKind.allCases.map { kind in
        let matching = grants.filter { $0.rights.contains(right) && ($0.kind == nil || $0.kind == kind) }.map(\.pattern)
        // Nothing else has to be asked behind a pattern that matches everything.
        return matching.first(where: \.matchesEverything).map { [$0] } ?? matching
      }
    }
  }

  /// An identity that may do everything: of a client of a server without an access file.
  public static func unrestricted(name: String) -> Identity { Identity(name: name, grants: [.everything]) }

  /// Whether it has the right on the thing of this kind and name. Allocates nothing.
  ///
  /// - Complexity: O(patterns for the right and kind × their length × the name's); O(1) when one of them is `*`.
  public func allows(_ right: Right, _ kind: ResourceKind, _ name: UnsafeRawBufferPointer) -> Bool {
    for pattern in patterns[right.index * ResourceKind.count + kind.index] where pattern.matches(name) {
      return true
    }
    return false
  }

  /// Whether it has the right on all names of all kinds: for what is about the whole server.
  public func allowsEverywhere(_ right: Right) -> Bool {
    ResourceKind.allCases.allSatisfy { kind in
      patterns[right.index * ResourceKind.count + kind.index].contains(where: \.matchesEverything)
    }
  }
}

extension Right {
  fileprivate var index: Int {
    switch self {
    case .schedule: 0
    case .consume: 1
    case .cancel: 2
    case .inspect: 3
    case .admin: 4
    }
  }
}

extension ResourceKind {
  fileprivate static let count = 4

  fileprivate var index: Int {
    switch self {
    case .topic: 0
    case .queue: 1
    case .exchange: 2
    case .group: 3
    }
  }
}
