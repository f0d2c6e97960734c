// The operations on messages that were released.

/// Where reading begins.
public enum StartPosition: Sendable, Equatable {
  /// At the oldest message kept.
  case earliest
  /// After the newest.
  case latest
  /// At this offset.
  case offset(UInt64)
  /// At the first message released at or after this Unix time in ms.
  case timeMs(Int64)

  var json: [UInt8] {
    switch self {
    case .earliest: Array("\"earliest\"".utf8)
    case .latest: Array("\"latest\"".utf8)
    case .offset(let offset): Array("{\"offset\":\(offset)}".utf8)
    case .timeMs(let ms): Array("{\"timeMs\":\(ms)}".utf8)
    }
  }
}

/// How a group takes messages. What is nil is left to the server's defaults.
public struct ConsumeOptions: Sendable, Equatable {
  /// How long the server waits for an acknowledgement before it delivers again, in ms (30 000).
  public var ackWaitMs: Int64?
  /// Deliveries before a message goes to the dead letters (16).
  public var maxAttempts: Int?
  /// Where a new group begins (earliest).
  public var from: StartPosition?
  /// Only messages with one of these tags; empty: all.
  public var tags: [String]
  /// Messages with one key come one at a time, in offset order.
  public var ordered: Bool?

  /// Makes options.
  public init(
    ackWaitMs: Int64? = nil, maxAttempts: Int? = nil, from: StartPosition? = nil, tags: [String] = [],
    ordered: Bool? = nil
  ) {
    self.ackWaitMs = ackWaitMs
    self.maxAttempts = maxAttempts
    self.from = from
    self.tags = tags
    self.ordered = ordered
  }

  func write(to line: inout RequestLine) {
    line.set("ackWaitMs", ackWaitMs)
    line.set("maxAttempts", maxAttempts)
    line.raw("from", from?.json)
    line.set("tags", tags)
    line.set("ordered", ordered)
  }
}

extension EscapementClient {
  // The server's default credit, which bounds what lies unread here.
  private static let creditDefault = 100

  /// Subscribes to a topic as a member of `group`, or, without one, as a private tail that begins now and has nothing to
  /// acknowledge.
  ///
  /// The subscription outlives lost connections and, in a cluster, a change of the leader; what was not acknowledged comes
  /// again then. It ends with its last reference, `cancel()` or `close()`.
  /// - Parameter credit: how many messages may be unacknowledged at a time, up to 65 536 (nil: 100).
  public func subscribe(
    topic: String, group: String? = nil, credit: Int? = nil, options: ConsumeOptions = ConsumeOptions()
  ) async throws -> Subscription {
    var line = RequestLine("subscribe")
    line.set(topic: topic)
    line.set("group", group)
    line.set("credit", credit)
    options.write(to: &line)
    // Acknowledged messages may still lie unread here while the server sends new ones in their place: twice the credit is
    // enough.
    let unreadMax = group == nil ? configuration.tailBufferMax : 2 * max(credit ?? Self.creditDefault, 1)
    let subscription = SubscriptionState(
      topic: topic, group: group, line: line, buffer: DeliveryBuffer(countMax: unreadMax))
    switch try route {
    case .single(let connection): try await connection.open(subscription, deadlineNs: deadlineNs())
    case .cluster(let cluster): try await cluster.open(subscription, deadlineNs: deadlineNs())
    }
    return Subscription(client: self, state: subscription)
  }

  /// Takes up to `max` messages as a member of `group`; waits up to `waitMs` for the first. Each must be acknowledged.
  ///
  /// - Parameters:
  ///   - max: 1 to 1000 (nil: 100).
  ///   - waitMs: 0 to 60 000.
  public func fetch(
    topic: String, group: String, max: Int? = nil, waitMs: Int64 = 0, options: ConsumeOptions = ConsumeOptions()
  ) async throws -> [Delivery] {
    var line = RequestLine("fetch")
    line.set(topic: topic)
    line.set("group", group)
    line.set("max", max)
    line.set("waitMs", waitMs)
    options.write(to: &line)
    // Messages of a lost reply are not acknowledged and come again, so asking again is safe.
    let reply = try await request(line, isRepeatable: true, extraMs: waitMs)
    var deliveries: [Delivery] = []
    for fields in try reply.fields.objects("messages") {
      deliveries.append(try Delivery(fields, topic: topic, group: group, outbox: outbox))
    }
    return deliveries
  }

  /// Acknowledges all outstanding messages of the group up to and including `offset`; gives how many there were.
  @discardableResult
  public func ack(topic: String, group: String, upTo offset: UInt64) async throws -> Int64 {
    var line = RequestLine("ack")
    line.set(topic: topic)
    line.set("group", group)
    line.raw("upTo", Array(String(offset).utf8))
    return try await request(line, isRepeatable: true).fields.int("acked")
  }

  /// Moves a group's cursor in its topic; gives the offset that it goes on from.
  @discardableResult
  public func seek(topic: String, group: String, to position: StartPosition) async throws -> UInt64 {
    var line = RequestLine("seek")
    line.set(topic: topic)
    line.set("group", group)
    line.raw("to", position.json)
    return try await request(line, isRepeatable: position != .latest).fields.offset("offset")
  }

  /// Puts dead letters of a group back at the end of their topic, oldest first, each once.
  ///
  /// Never repeated by itself: after `connectionLost` or `timeout` some may or may not be back.
  /// - Parameter limit: at most so many, 1 to 10 000 (nil: 1000).
  /// - Throws: `refused` with `not_found` when the topic or the group is not there.
  @discardableResult
  public func redrive(topic: String, group: String, limit: Int? = nil) async throws -> RedriveReceipt {
    var line = RequestLine("redrive")
    line.set(topic: topic)
    line.set("group", group)
    line.set("limit", limit)
    return try await RedriveReceipt(request(line, isRepeatable: false).fields)
  }

  /// Leaves a subscription; what it had not acknowledged is delivered again.
  func leave(_ subscription: SubscriptionState) async throws {
    switch try route {
    case .single(let connection): try await connection.leave(subscription, deadlineNs: deadlineNs())
    case .cluster(let cluster): try await cluster.leave(subscription, deadlineNs: deadlineNs())
    }
  }

  /// Leaves a subscription whose last reference is gone.
  func leaveSoon(_ subscription: SubscriptionState) {
    switch try? route {
    case .single(let connection)?: connection.leaveSoon(subscription)
    case .cluster(let cluster)?: cluster.leaveSoon(subscription)
    case nil: subscription.buffer.finish(.success(()))
    }
  }

  /// Returns when the server of a subscription has every acknowledgement made so far.
  func flush(_ subscription: SubscriptionState) async throws {
    guard case .cluster(let cluster) = try route else {
      _ = try await ping()
      return
    }
    await cluster.sendAcks()
    var line = RequestLine("ping")
    line.set(forTopic: subscription.topic)
    _ = try await cluster.request(line, isRepeatable: true, deadlineNs: deadlineNs())
  }
}
