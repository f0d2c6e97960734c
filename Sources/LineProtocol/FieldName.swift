// Every field name that a request may carry, in one table: the enum itself.
//
// Holds: the raw value is the name on the wire; at most 256 names (`FieldSet`), each at most 32 bytes (`NameTable`).
// Leaves to others: which operation takes which fields (the op table).

/// The name of a field of a request, or of an object inside one that is read by name.
public enum FieldName: String, CaseIterable, Sendable {
  // Every request.
  case op, rid
  // Session.
  case `protocol`, client, token
  // Scheduling.
  case topic, body, bodyBase64, delayMs, deliverAtMs, deliverAt, delayLevel
  case id, key, tag, headers, ifExists, acks
  case fromMs, toMs, limit, cursor, messages
  // Consuming.
  case group, credit, ackWaitMs, maxAttempts, from, tags, ordered
  case sub, offset, offsets, upTo, max, waitMs, to, timeMs
  // Topics.
  case retentionMs, retentionBytes, folder
  // Clusters.
  case shard, node, address, secret, sequence, wire, isReady
  // RocketMQ front end.
  case keys, shardingKey, properties, delayTimeLevel, delayTimeSec, delayTimeMs, deliverTimeMs, recallHandle
  case consumerGroup, subExpression, maxReconsumeTimes, msgId, producerGroup, transactionId, state
  // RabbitMQ front end.
  case exchange, type, durable, autoDelete, `internal`, passive, arguments, ifUnused, ifEmpty
  case queue, exclusive, routingKey, mandatory, consumerTag, noAck, prefetch, deliveryTag, multiple, requeue
  case destination, source, global
  // Inside its `properties`.
  case expiration, messageId, correlationId, replyTo, contentType, contentEncoding, deliveryMode, priority, timestamp
  case userId, appId

  /// The position in the table, from 0. An enum of under 256 plain cases is one byte that counts them in order.
  @inlinable public var index: Int { Int(unsafeBitCast(self, to: UInt8.self)) }

  /// How many names there are.
  static let count = allCases.count

  /// The name at a position that `index` or `table` gave.
  @inline(__always) init(trustedIndex index: Int) {
    self = unsafeBitCast(UInt8(truncatingIfNeeded: index), to: Self.self)
  }

  /// Key bytes to `index`.
  public static let table = NameTable(allCases.map(\.rawValue))

  /// The field with this name, if there is one. O(1).
  public init?(bytes: UnsafeRawBufferPointer) {
    guard let index = Self.table.index(of: bytes) else { return nil }
    self.init(trustedIndex: index)
  }
}
