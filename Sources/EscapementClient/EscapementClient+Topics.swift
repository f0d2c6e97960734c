// Topics, counters, and a look inside.

extension EscapementClient {
  /// Makes a topic. False: it stood already with the same settings.
  ///
  /// - Parameters:
  ///   - retentionMs: how long released messages are kept (nil: 7 days).
  ///   - retentionBytes: how many bytes of them are kept.
  /// - Throws: `refused` with `exists` when it stands with other settings.
  @discardableResult
  public func createTopic(
    _ topic: String, retentionMs: Int64? = nil, retentionBytes: Int64? = nil
  ) async throws -> Bool {
    var line = RequestLine("createTopic")
    line.set(topic: topic)
    line.set("retentionMs", retentionMs)
    line.set("retentionBytes", retentionBytes)
    let reply = try await request(line, isRepeatable: true)
    guard let created = reply.fields["created"]?.bool else { throw EscapementError.badReply("'created' is missing") }
    return created
  }

  /// Deletes a topic with its pending messages and groups.
  @discardableResult
  public func deleteTopic(_ topic: String) async throws -> Bool {
    var line = RequestLine("deleteTopic")
    line.set(topic: topic)
    let reply = try await request(line, isRepeatable: false)
    guard let deleted = reply.fields["deleted"]?.bool else { throw EscapementError.badReply("'deleted' is missing") }
    return deleted
  }

  /// All topics with their groups, by name.
  public func topics() async throws -> [TopicInfo] {
    try await requestOfEach(RequestLine("topics")).flatMap { reply throws(EscapementError) in
      try reply.fields.all("topics") { fields throws(EscapementError) in try TopicInfo(fields) }
    }.sorted { $0.topic < $1.topic }
  }

  /// All queues of the RabbitMQ front end, by name.
  public func queues() async throws -> [QueueInfo] {
    try await requestOfEach(RequestLine("rabbitmq.queues")).flatMap { reply throws(EscapementError) in
      try reply.fields.all("queues") { fields throws(EscapementError) in try QueueInfo(fields) }
    }.sorted { $0.queue < $1.queue }
  }

  /// All exchanges of the RabbitMQ front end but the default one, by name.
  public func exchanges() async throws -> [ExchangeInfo] {
    try await requestOfEach(RequestLine("rabbitmq.exchanges")).flatMap { reply throws(EscapementError) in
      try reply.fields.all("exchanges") { fields throws(EscapementError) in try ExchangeInfo(fields) }
    }.sorted { $0.exchange < $1.exchange }
  }

  /// The server at a glance, or all shards of a cluster together.
  ///
  /// - Parameter limit: how many topics, queues and exchanges to name at most, 1 to 1000 of each.
  public func overview(limit: Int = 100) async throws -> ServerOverview {
    var line = RequestLine("overview")
    line.set("limit", limit)
    let all = try await requestOfEach(line).map { reply throws(EscapementError) in try ServerOverview(reply.fields) }
    return ServerOverview(merging: all, limit: limit)
  }

  /// Counters and gauges. Those of a cluster's shards are added up; of times, states and free space it is the worst.
  ///
  /// - Parameter shard: of this shard alone.
  public func stats(shard: Int? = nil) async throws -> ServerStats {
    var line = RequestLine("stats")
    guard let shard else { return ServerStats(merging: try await requestOfEach(line).map { ServerStats($0.json) }) }
    line.set(shard: shard)
    return try await ServerStats(request(line, isRepeatable: true).json)
  }

  /// The timing wheels as they stand; those of a cluster's shards laid over each other.
  public func wheel() async throws -> WheelInfo {
    WheelInfo(
      merging: try await requestOfEach(RequestLine("wheel")).map { reply throws(EscapementError) in
        try WheelInfo(reply.fields)
      })
  }

  /// Has the server make a snapshot of its data folder, in a new folder on its own machine; returns when it is whole.
  ///
  /// - Parameters:
  ///   - folder: an absolute path on the server's machine, where nothing is yet.
  ///   - waitMs: how long the copy may take.
  public func snapshot(folder: String, waitMs: Int64 = 86_400_000) async throws -> SnapshotReceipt {
    var line = RequestLine("snapshot")
    line.set("folder", folder)
    return try await SnapshotReceipt(request(line, isRepeatable: false, extraMs: waitMs).fields)
  }
}
