// The operations on messages that wait for their time.

import Foundation

extension EscapementClient {
  // The server's bound of one batch.
  private static let batchMax = 1_000

  /// Schedules a message.
  ///
  /// With an `id` the call is safe to repeat, and the client does so when the connection breaks. In a cluster a message
  /// without one is given one.
  /// - Throws: `refused` (`delay_out_of_range`, `exists` with `.reject`, …), `connectionLost`, `timeout`.
  @discardableResult
  public func schedule(
    topic: String, body: MessageBody, id: String? = nil, when: Due, key: String? = nil, tag: String? = nil,
    headers: [String: String] = [:], ifExists: IfExists? = nil, acks: Acks = .disk
  ) async throws -> ScheduleReceipt {
    try await schedule(
      ScheduleRequest(
        topic: topic, body: body, when: when, id: id, key: key, tag: tag, headers: headers, ifExists: ifExists),
      acks: acks)
  }

  /// Schedules a message.
  ///
  /// - Throws: as the other `schedule`.
  @discardableResult
  public func schedule(_ message: ScheduleRequest, acks: Acks = .disk) async throws -> ScheduleReceipt {
    let message = withID(message)
    return try await ScheduleReceipt(
      request(message.line(acks: acks.rawValue), isRepeatable: message.isRepeatable).fields)
  }

  /// Schedules up to 1000 messages of one topic with one request and one reply: all are accepted, or none.
  ///
  /// Repeated by itself when every message has an `id` and none is to be rejected when it exists.
  /// - Returns: what became of each, in the order of `messages`.
  /// - Throws: `refused`, and then nothing was scheduled (the message for people names the place in `messages`);
  ///   `invalidRequest` for several topics or too many messages; `connectionLost`, `timeout`.
  @discardableResult
  public func scheduleMany(_ messages: [ScheduleRequest], acks: Acks = .disk) async throws -> [ScheduleReceipt] {
    let messages = messages.map(withID)
    guard let topic = messages.first?.topic else { return [] }
    guard messages.count <= Self.batchMax else {
      throw EscapementError.invalidRequest("a batch has \(messages.count) messages; up to \(Self.batchMax) are allowed")
    }
    guard messages.allSatisfy({ $0.topic == topic }) else {
      throw EscapementError.invalidRequest("the messages of a batch must have one topic")
    }
    var line = RequestLine("scheduleMany")
    line.set(topic: topic)
    line.set("acks", acks.rawValue)
    line.set("messages", objects: messages) { $0.write(to: &$1) }
    let reply = try await request(line, isRepeatable: messages.allSatisfy(\.isRepeatable)).fields
    var receipts: [ScheduleReceipt] = []
    for fields in try reply.objects("results") { receipts.append(try ScheduleReceipt(fields)) }
    guard receipts.count == messages.count else {
      throw EscapementError.badReply("\(receipts.count) results for \(messages.count) messages")
    }
    return receipts
  }

  /// Schedules a message and asks for no reply; returns when the connection has taken it. A refusal shows up as
  /// `ConnectionEvent.refusedUnanswered`; a lost connection may lose the message.
  public func scheduleUnanswered(_ message: ScheduleRequest) async throws {
    let message = withID(message)
    let line = message.line(acks: "none")
    switch try route {
    case .single(let connection): try await connection.send(unanswered: line)
    case .cluster(let cluster):
      try await cluster.send(
        unanswered: line, message.line(acks: Acks.memory.rawValue), deadlineNs: deadlineNs())
    }
  }

  /// In a cluster, the message with an id of its own if it has none, so that it can be sent again to the next leader.
  private func withID(_ message: ScheduleRequest) -> ScheduleRequest {
    guard message.id == nil, isCluster else { return message }
    var message = message
    message.id = UUID().uuidString
    return message
  }

  /// Releases a message at once.
  ///
  /// Never repeated by itself: after `connectionLost` or `timeout` it may or may not be in the topic.
  @discardableResult
  public func publish(
    topic: String, body: MessageBody, id: String? = nil, key: String? = nil, tag: String? = nil,
    headers: [String: String] = [:], acks: Acks = .disk
  ) async throws -> PublishReceipt {
    var line = RequestLine("publish")
    line.set(topic: topic)
    line.set("id", id)
    line.set("key", key)
    line.set("tag", tag)
    line.set("headers", headers)
    line.set("acks", acks.rawValue)
    line.raw(body.field, body.value)
    return try await PublishReceipt(request(line, isRepeatable: false).fields)
  }

  /// Cancels a pending message. After `.cancelled` it is never released.
  @discardableResult
  public func cancel(topic: String, id: String) async throws -> CancelOutcome {
    let reply = try await request(line("cancel", topic, id), isRepeatable: true)
    let outcome: CancelOutcome = try reply.fields.choice("outcome")
    // A first attempt whose reply was lost may have cancelled it; then the second one found nothing pending.
    if outcome == .unknown, reply.wasRepeated, try await get(topic: topic, id: id) == .cancelled { return .cancelled }
    return outcome
  }

  /// Moves a pending message to another time.
  ///
  /// Repeated by itself only with an absolute time, since a delay would count anew.
  @discardableResult
  public func reschedule(topic: String, id: String, when: Due) async throws -> RescheduleOutcome {
    var line = line("reschedule", topic, id)
    when.write(to: &line)
    let reply = try await request(line, isRepeatable: when.isAbsolute).fields
    switch try reply.string("outcome") {
    case "rescheduled": return .rescheduled(deliverAtMs: try reply.int("deliverAtMs"))
    case "released": return .released
    case "unknown": return .unknown
    case let other: throw EscapementError.badReply("'\(other)' is no known outcome")
    }
  }

  /// What the server knows about a message.
  public func get(topic: String, id: String) async throws -> MessageState {
    try await MessageState(request(line("get", topic, id), isRepeatable: true).fields, id: id)
  }

  /// One page of a topic's pending messages, in the order they are due.
  ///
  /// - Parameters:
  ///   - fromMs: the first due time wanted, in Unix ms.
  ///   - toMs: the end of the due times wanted, in Unix ms, as the server draws it.
  ///   - limit: 1 to 1000; nil: the server's default, 100.
  ///   - cursor: where the last page ended.
  public func list(
    topic: String, fromMs: Int64? = nil, toMs: Int64? = nil, limit: Int? = nil, cursor: PageCursor? = nil
  ) async throws -> PendingPage {
    var line = RequestLine("list")
    line.set(topic: topic)
    line.set("fromMs", fromMs)
    line.set("toMs", toMs)
    line.set("limit", limit)
    line.raw("cursor", cursor?.json)
    return try await PendingPage(request(line, isRepeatable: true).fields)
  }

  /// All of a topic's pending messages in a span of due times, fetched page by page as they are asked for.
  public func pending(
    topic: String, fromMs: Int64? = nil, toMs: Int64? = nil, pageSize: Int = 1_000
  ) -> PendingMessages {
    PendingMessages(client: self, topic: topic, fromMs: fromMs, toMs: toMs, pageSize: pageSize)
  }

  private func line(_ op: String, _ topic: String, _ id: String) -> RequestLine {
    var line = RequestLine(op)
    line.set(topic: topic)
    line.set("id", id)
    return line
  }
}

/// Pending messages, page after page. What is scheduled or released while pages are fetched may or may not be seen.
public struct PendingMessages: AsyncSequence, Sendable {
  /// What the sequence gives.
  public typealias Element = PendingMessage

  let client: EscapementClient
  let topic: String
  let fromMs: Int64?
  let toMs: Int64?
  let pageSize: Int

  /// Starts at the first page.
  public func makeAsyncIterator() -> Iterator { Iterator(pages: self) }

  /// Holds one page at a time.
  public struct Iterator: AsyncIteratorProtocol {
    let pages: PendingMessages
    private var page: ArraySlice<PendingMessage> = []
    private var cursor: PageCursor?
    private var isStarted = false

    init(pages: PendingMessages) { self.pages = pages }

    /// The next message; asks for the next page when this one is used up.
    public mutating func next() async throws -> PendingMessage? {
      while page.isEmpty {
        if isStarted && cursor == nil { return nil }
        let fetched = try await pages.client.list(
          topic: pages.topic, fromMs: pages.fromMs, toMs: pages.toMs, limit: pages.pageSize, cursor: cursor)
        isStarted = true
        page = fetched.messages[...]
        cursor = fetched.cursor
      }
      return page.removeFirst()
    }
  }
}
