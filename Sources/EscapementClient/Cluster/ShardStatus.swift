// What a node of a cluster says about the shards, as types.

/// A shard, as one node sees it.
public struct ShardStatus: Sendable, Codable, Equatable {
  /// Its number, from 0.
  public let shard: Int
  /// What the node is in it: `leading`, `following`, `reading` what it lacks, `copying` the folder of another node, or `stopped`.
  public let role: String
  /// The name of the node that leads it, as far as the node knows.
  public let leader: String?
  /// The leader's address.
  public let address: String?
  /// Counts leaderships; the higher one is the later one.
  public let epoch: Int64?
  /// The last entry of this leadership that the node has.
  public let index: Int64
  /// The last record that the node has applied. What a follower is behind is the leader's less its own.
  public let record: Int64
  /// Whether it has all that there is.
  public let isCurrent: Bool
  /// Entries of earlier leaders that came too late and count for nothing.
  public let void: Int64
  /// Bytes of the shard's stream in NATS.
  public let streamBytes: Int64
  /// What is wrong, for people.
  public let problem: String?

  /// The leader's address, to connect to.
  public var leaderAddress: ServerAddress? { address.flatMap { ServerAddress($0) } }

  init(_ fields: RawObject) throws(EscapementError) {
    shard = Int(clamping: try fields.int("shard"))
    role = try fields.string("role")
    leader = fields["leader"]?.string
    address = fields["address"]?.string
    epoch = fields["epoch"]?.int
    index = fields["index"]?.int ?? 0
    record = fields["record"]?.int ?? 0
    isCurrent = fields["isCurrent"]?.bool ?? false
    void = fields["void"]?.int ?? 0
    streamBytes = fields["streamBytes"]?.int ?? 0
    problem = fields["problem"]?.string
  }
}

/// A node and what it knows of every shard.
public struct NodeStatus: Sendable, Codable, Equatable {
  /// Its name.
  public let node: String
  /// All shards, by number.
  public let shards: [ShardStatus]

  init(_ reply: RawObject) throws(EscapementError) {
    node = try reply.string("node")
    shards = try reply.all("shards") { fields throws(EscapementError) in try ShardStatus(fields) }
  }
}
