// What a request is about, and what a node says that cannot answer it.

/// Which node of a cluster has to answer.
enum Place: Hashable, Sendable {
  /// Whoever leads the shard of this topic.
  case topic(String)
  /// Whoever leads this shard.
  case shard(Int)
  /// This node, whoever leads.
  case node(ServerAddress)
  /// Any node.
  case anywhere
}

/// A node does not lead the shard that a request is about. The request has taken no effect there.
struct NotLeader: Error {
  var shard: Int
  /// The leader's address; nil while nobody is known to lead.
  var address: ServerAddress?

  init(_ fields: RawObject) {
    shard = Int(clamping: fields["shard"]?.int ?? 0)
    address = fields["address"]?.string.flatMap { ServerAddress($0) }
  }
}

/// A connection of a cluster ended before the reply came to a request that may be sent again.
struct RequestLost: Error {
  /// False when it was never sent.
  var mayHaveTakenEffect: Bool
  var reason: String
}

/// One request's way through the nodes: how often it failed, how long to wait before the next try.
struct Search {
  // As short as a change of leaders may be, and as long as asking again costs nobody anything.
  private static let pauseMsMin: Int64 = 50
  private static let pauseMsMax: Int64 = 1_000

  private(set) var failures = 0
  private(set) var reason = "no node was asked"
  private(set) var mayHaveTakenEffect = false
  private var wasRedirected = false

  /// Notes a failed try; gives how long to wait before the next one. A first redirection is followed at once.
  mutating func pauseMs(after reason: String, isRedirected: Bool, mayHaveTakenEffect: Bool = false) -> Int64 {
    self.reason = reason
    self.mayHaveTakenEffect = self.mayHaveTakenEffect || mayHaveTakenEffect
    defer { wasRedirected = isRedirected }
    if isRedirected && !wasRedirected { return 0 }
    failures += 1
    return min(Self.pauseMsMax, Self.pauseMsMin << min(failures - 1, 10))
  }
}
