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

  /// All queues of the RabbitMQ front end.
  public func queues() async throws -> [QueueInfo] {
    try await request(RequestLine("rabbitmq.queues"), isRepeatable: true).fields
      .all("queues") { fields throws(EscapementError) in try QueueInfo(fields) }
  }

  /// All exchanges of the RabbitMQ front end but the default one.
  public func exchanges() async throws -> [ExchangeInfo] {
    try await request(RequestLine("rabbitmq.exchanges"), isRepeatable: true).fields
      .all("exchanges") { fields throws(EscapementError) in try ExchangeInfo(fields) }
  }

  /// The server at a glance.
  ///
  /// - Parameter limit: how many topics, queues and exchanges to name at most, 1 to 1000 of each.
  public func overview(limit: Int = 100) async throws -> ServerOverview {
    var line = RequestLine("overview")
    line.set("limit", limit)
    return try await ServerOverview(request(line, isRepeatable: true).fields)
  }

  /// Counters and gauges.
  public func stats() async throws -> ServerStats {
    try await ServerStats(request(RequestLine("stats"), isRepeatable: true).json)
  }

  /// The timing wheels as they stand.
  public func wheel() async throws -> WheelInfo {
    try await WheelInfo(request(RequestLine("wheel"), isRepeatable: true).fields)
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
