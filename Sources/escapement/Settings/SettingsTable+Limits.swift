// The settings that bound something.

import Server

extension SettingsTable {
  static let limits: [Setting] = [
    .number("max-line-bytes", 1024...(64 << 20), .bytes, "the longest line", \.server.lineBytesMax),
    bodyBytes,
    .number("max-connections", 1...1_000_000, .count, "connections at a time", \.server.connectionsMax),
    .number(
      "max-connections-per-address", 1...1_000_000, .count, "connections from one address at a time",
      \.server.connectionsPerAddressMax),
    .number(
      "max-unsent-bytes", 65_536 ... .max, .bytes, "bytes that may wait to be sent on a connection",
      \.server.unsentBytesMax),
    .number(
      "handshake-timeout-ms", 1...86_400_000, .ms,
      "how long a client may take for the handshake of TLS or AMQP, and to say who it is, where it must",
      \.server.handshakeTimeoutMs),
    .number(
      "request-timeout-ms", 1...86_400_000, .ms,
      "how long a line, a request of HTTP or a frame of RocketMQ may take to come in",
      \.server.requestTimeoutMs),
    .number(
      "idle-timeout-ms", 1...86_400_000, .ms, "how long a connection of HTTP may rest between requests",
      \.server.idleTimeoutMs),
    .number(
      "line-idle-timeout-ms", 0...86_400_000, .ms,
      "how long a connection of the line protocol may rest that waits for no messages; 0: for ever",
      \.server.lineIdleTimeoutMs),
    .number(
      "max-metric-topics", 0...10_000, .count, "topics with metrics of their own, and groups of each",
      \.server.metricTopicsMax),
    .number(
      "max-in-flight-bytes", 65_536 ... .max, .bytes, "bytes on the way to the journal; no commands are read beyond it",
      \.server.inFlightBytesMax),
    .number(
      "max-subscriptions", 1...1_000_000, .count,
      "subscriptions, waiting fetches and fetched groups of a connection, each",
      \.server.subscriptionsMax),
    memory,
    .number("max-pending", 1 ... .max, .count, "pending messages", \.server.engine.broker.pendingMax),
    .number(
      "max-topic-pending", 1 ... .max, .count, "pending messages of one topic", \.server.engine.broker.topicPendingMax),
    .number(
      "max-topic-pending-bytes", 1 ... .max, .bytes, "bytes, about, of the pending messages of one topic",
      \.server.engine.broker.topicPendingBytesMax),
    .number(
      "max-outstanding", 1...(1 << 30), .count, "delivered and unfinished messages of a group",
      \.server.engine.broker.outstandingMax),
    .number("max-topics", 1...10_000_000, .count, "topics; a queue is one", \.server.engine.broker.topicsMax),
    .number(
      "max-groups", 1...10_000_000, .count, "groups of all topics; a queue has one", \.server.engine.broker.groupsMax),
    .number(
      "amqp-consumer-timeout-ms", 0...(1 << 40), .ms,
      "how long an AMQP client may keep a delivery unacknowledged, where its queue does not say; 0: for ever",
      \.server.amqpConsumerTimeoutMs),
    .number("max-exchanges", 1...10_000_000, .count, "exchanges of the RabbitMQ front end", \.server.exchangesMax),
    .number("max-bindings", 1...100_000_000, .count, "bindings of the RabbitMQ front end", \.server.bindingsMax),
    .number(
      "max-amqp-message-bytes", 1...(512 << 20), .bytes, "the largest body of a message that comes by AMQP",
      \.server.messageBytesMax),
    .number(
      "max-transaction-bytes", 0 ... .max, .bytes, "memory for undecided transactions",
      \.server.engine.broker.heldBytesMax),
    .number(
      "max-fetch-bytes", 1 ... .max, .bytes, "messages in the reply to one fetch", \.server.engine.broker.fetchBytesMax),
    .number(
      "near-memory-bytes", 1 << 20 ... .max, .bytes,
      "memory, about, for messages due within two minutes; those beyond it stay on disk until shortly before their time",
      \.server.engine.broker.nearBytesMax),
    .number("cache-bytes", 1 << 20 ... .max, .bytes, "memory for topic logs", \.server.engine.broker.cacheBytes),
  ]

  /// As large as a line may be, unless something is said.
  private static let bodyBytes: Setting = {
    var setting = Setting.number(
      "max-body-bytes", 1...(64 << 20), .bytes, "the largest body", \.server.engine.broker.bodyBytesMax)
    setting.standardInWords = "--max-line-bytes"
    return setting
  }()

  /// Three quarters of what there is, unless something is said.
  private static let memory: Setting = {
    var setting = Setting.number(
      "max-memory-bytes", 16 << 20 ... .max, .bytes,
      "memory, about, of messages and connections; new messages are refused with busy beyond it",
      \.server.memoryBytesMax)
    setting.standardInWords = "3/4 of the memory"
    return setting
  }()
}
