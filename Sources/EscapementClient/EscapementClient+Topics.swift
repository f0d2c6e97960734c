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
    line.set("topic", topic)
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
    line.set("topic", topic)
    let reply = try await request(line, isRepeatable: false)
    guard let deleted = reply.fields["deleted"]?.bool else { throw EscapementError.badReply("'deleted' is missing") }
    return deleted
  }

  /// All topics with their groups.
  public func topics() async throws -> [TopicInfo] {
    var topics: [TopicInfo] = []
    for fields in try await request(RequestLine("topics"), isRepeatable: true).fields.objects("topics") {
      topics.append(try TopicInfo(fields))
    }
    return topics
  }

  /// Counters and gauges.
  public func stats() async throws -> ServerStats {
    try await ServerStats(request(RequestLine("stats"), isRepeatable: true).json)
  }

  /// The timing wheels as they stand.
  public func wheel() async throws -> WheelInfo {
    try await WheelInfo(request(RequestLine("wheel"), isRepeatable: true).fields)
  }
}
