// The server at a glance, as types: the wheels in memory and on disk, counters, lateness, topics, queues, exchanges.

import Foundation

/// A queue of the RabbitMQ front end.
public struct QueueInfo: Sendable, Codable, Equatable {
  /// Its name.
  public let queue: String
  /// Whether it survives a restart.
  public let durable: Bool
  /// Messages ready to be delivered.
  public let messageCount: Int64
  /// Messages with consumers.
  public let unacknowledged: Int64
  /// Messages that wait for the end of their time to live.
  public let expiring: Int64
  /// Consumers.
  public let consumerCount: Int64
  /// Bytes of its log.
  public let bytesOnDisk: Int64

  init(_ fields: RawObject) throws(EscapementError) {
    queue = try fields.string("queue")
    durable = fields["durable"]?.bool ?? false
    messageCount = try fields.int("messageCount")
    unacknowledged = try fields.int("unacknowledged")
    expiring = try fields.int("expiring")
    consumerCount = try fields.int("consumerCount")
    bytesOnDisk = try fields.int("bytesOnDisk")
  }
}

/// An exchange of the RabbitMQ front end.
public struct ExchangeInfo: Sendable, Codable, Equatable {
  /// Its name.
  public let exchange: String
  /// `direct`, `fanout`, `topic`, `headers`, or `x-delayed-message`.
  public let type: String
  /// Whether it survives a restart.
  public let durable: Bool
  /// Messages pending in it, if it delays.
  public let pending: Int64

  init(_ fields: RawObject) throws(EscapementError) {
    exchange = try fields.string("exchange")
    type = try fields.string("type")
    durable = fields["durable"]?.bool ?? false
    pending = try fields.int("pending")
  }
}

/// What the server shows of itself at a moment, bounded in size.
public struct ServerOverview: Sendable {
  /// A slice on disk: the pending messages of a stretch of time.
  public struct Slice: Sendable, Equatable {
    /// 0 is the finest level on disk; a slice of each level is 64 of the level below.
    public let level: Int64
    /// First millisecond of the stretch.
    public let startMs: Int64
    /// First millisecond behind it.
    public let endMs: Int64
    /// Messages in it.
    public let pending: Int64
    /// Whether they are on their way to finer slices or into memory.
    public let isMoving: Bool
  }

  /// What is about the whole server; only for those who may inspect everything.
  public struct Inside: Sendable {
    /// Counters and gauges.
    public let stats: ServerStats
    /// The largest lateness of each class of releases, in ms.
    public let latenessBoundsMs: [Int64]
    /// How many releases each class has had since the start; one more for those above all bounds.
    public let latenessCounts: [Int64]
    /// Sectors that each wheel in memory is shown with.
    public let sectors: Int64
    /// The wheels in memory, from the finest up; slots count by sectors.
    public let levels: [WheelInfo.Level]
    /// Messages that have moved out of slices since the start.
    public let demoted: Int64
    /// The slices on disk that hold messages, the finest level first.
    public let slices: [Slice]
  }

  /// Name and version of the server.
  public let server: String
  /// The server's time, in Unix ms.
  public let nowMs: Int64
  /// What is about the whole server; nil when the client may not see it.
  public let inside: Inside?
  /// The first topics by name.
  public let topics: [TopicInfo]
  /// The first queues by name.
  public let queues: [QueueInfo]
  /// The first exchanges by name.
  public let exchanges: [ExchangeInfo]
  /// Whether there are more topics, queues or exchanges.
  public let hasMore: Bool

  init(_ reply: RawObject) throws(EscapementError) {
    server = try reply.string("server")
    nowMs = try reply.int("nowMs")
    inside = if let stats = reply["stats"] { try Inside(stats, reply) } else { nil }
    topics = try reply.all("topics") { fields throws(EscapementError) in try TopicInfo(fields) }
    queues = try reply.all("queues") { fields throws(EscapementError) in try QueueInfo(fields) }
    exchanges = try reply.all("exchanges") { fields throws(EscapementError) in try ExchangeInfo(fields) }
    hasMore = reply["hasMore"]?.bool ?? false
  }
}

extension ServerOverview.Inside {
  init(_ stats: RawJSON, _ reply: RawObject) throws(EscapementError) {
    func object(_ name: String) throws(EscapementError) -> RawObject {
      guard let value = reply[name] else { throw .badReply("the field '\(name)' is missing") }
      return try RawObject(value)
    }
    self.stats = ServerStats(stats)
    let lateness = try object("lateness")
    latenessBoundsMs = (lateness["boundsMs"]?.elements ?? []).compactMap(\.int)
    latenessCounts = (lateness["counts"]?.elements ?? []).compactMap(\.int)
    let wheel = try object("wheel")
    sectors = try wheel.int("sectors")
    levels = try wheel.all("levels") { fields throws(EscapementError) in try WheelInfo.Level(fields) }
    let disk = try object("disk")
    demoted = try disk.int("demoted")
    slices = try disk.all("slices") { fields throws(EscapementError) in
      ServerOverview.Slice(
        level: try fields.int("level"), startMs: try fields.int("startMs"), endMs: try fields.int("endMs"),
        pending: try fields.int("pending"), isMoving: fields["moving"]?.bool ?? false)
    }
  }
}

extension RawObject {
  /// The objects of an array, each made into something.
  func all<Element>(
    _ key: String, _ make: (RawObject) throws(EscapementError) -> Element
  ) throws(EscapementError) -> [Element] {
    var found: [Element] = []
    for fields in try objects(key) { found.append(try make(fields)) }
    return found
  }
}
