// Every operation of the protocol: its name, the fields it takes, whether it needs a token, who does it. To add one, add a
// line here and a function where its kind is.

import LineProtocol
import RocketMQFrontEnd

/// One operation.
struct Operation: Sendable {
  let name: String
  let fields: FieldSet
  var needsToken = true
  let perform: @Sendable (LineSession, Request) throws(RequestStop) -> Void
}

enum OperationTable {
  private static let times: FieldSet = [.delayMs, .deliverAtMs, .deliverAt, .delayLevel]
  private static let message: FieldSet = [.topic, .body, .bodyBase64, .id, .key, .tag, .headers]
  /// The fields of one of the `messages` of `scheduleMany`.
  static let batchMessage: FieldSet = times.union([.body, .bodyBase64, .id, .key, .tag, .headers, .ifExists])
  private static let consumer: FieldSet = [.topic, .group, .ackWaitMs, .maxAttempts, .from, .tags, .ordered]
  private static let selection: FieldSet = [.sub, .topic, .group, .offset, .offsets, .upTo]

  static let all: [Operation] =
    [
      Operation(name: "hello", fields: [.protocol, .client, .token], needsToken: false) { s, r throws(RequestStop) in
        try s.hello(r)
      },
      Operation(name: "ping", fields: [], needsToken: false) { s, r throws(RequestStop) in s.ping(r) },

      Operation(name: "schedule", fields: message.union(times).union([.ifExists, .acks])) { s, r throws(RequestStop) in
        try s.schedule(r)
      },
      Operation(name: "scheduleMany", fields: [.topic, .messages, .acks]) { s, r throws(RequestStop) in
        try s.scheduleMany(r)
      },
      Operation(name: "publish", fields: message.union([.acks])) { s, r throws(RequestStop) in try s.publish(r) },
      Operation(name: "cancel", fields: [.topic, .id]) { s, r throws(RequestStop) in try s.cancel(r) },
      Operation(name: "reschedule", fields: times.union([.topic, .id])) { s, r throws(RequestStop) in
        try s.reschedule(r)
      },
      Operation(name: "get", fields: [.topic, .id]) { s, r throws(RequestStop) in try s.get(r) },
      Operation(name: "list", fields: [.topic, .fromMs, .toMs, .limit, .cursor]) { s, r throws(RequestStop) in
        try s.list(r)
      },

      Operation(name: "subscribe", fields: consumer.union([.credit])) { s, r throws(RequestStop) in try s.subscribe(r)
      },
      Operation(name: "unsubscribe", fields: [.sub]) { s, r throws(RequestStop) in try s.unsubscribe(r) },
      Operation(name: "fetch", fields: consumer.union([.max, .waitMs])) { s, r throws(RequestStop) in try s.fetch(r) },
      Operation(name: "ack", fields: selection.union([.acks])) { s, r throws(RequestStop) in try s.ack(r) },
      Operation(name: "nack", fields: selection.union([.acks, .delayMs])) { s, r throws(RequestStop) in try s.nack(r) },
      Operation(name: "touch", fields: selection.union([.acks])) { s, r throws(RequestStop) in try s.touch(r) },
      Operation(name: "seek", fields: [.topic, .group, .to]) { s, r throws(RequestStop) in try s.seek(r) },
      Operation(name: "redrive", fields: [.topic, .group, .limit]) { s, r throws(RequestStop) in try s.redrive(r) },

      Operation(name: "createTopic", fields: [.topic, .retentionMs, .retentionBytes]) { s, r throws(RequestStop) in
        try s.createTopic(r)
      },
      Operation(name: "deleteTopic", fields: [.topic]) { s, r throws(RequestStop) in try s.deleteTopic(r) },
      Operation(name: "topics", fields: []) { s, r throws(RequestStop) in s.topics(r) },
      Operation(name: "stats", fields: []) { s, r throws(RequestStop) in s.stats(r) },
      Operation(name: "wheel", fields: []) { s, r throws(RequestStop) in s.wheel(r) },
    ] + rocketMQ + rabbitMQ

  private static let sentMessage: FieldSet = [.topic, .body, .bodyBase64, .tags, .keys, .shardingKey, .properties]
  private static let sentDelay: FieldSet = [.delayTimeLevel, .delayTimeSec, .delayTimeMs, .deliverTimeMs]

  private static let rocketMQ: [Operation] = [
    Operation(name: "rocketmq.send", fields: sentMessage.union(sentDelay)) { s, r throws(RequestStop) in
      try s.rocketMQ(r) { front, call, out throws(RocketMQStop) in try front.send(call, to: &out) }
    },
    Operation(name: "rocketmq.recall", fields: [.topic, .recallHandle]) { s, r throws(RequestStop) in
      try s.rocketMQ(r) { front, call, out throws(RocketMQStop) in try front.recall(call, to: &out) }
    },
    Operation(name: "rocketmq.levels", fields: []) { s, r throws(RequestStop) in
      try s.rocketMQ(r) { front, call, out throws(RocketMQStop) in front.levels(call, to: &out) }
    },
    Operation(
      name: "rocketmq.subscribe", fields: [.topic, .consumerGroup, .subExpression, .credit, .maxReconsumeTimes]
    ) { s, r throws(RequestStop) in try s.rocketMQSubscribe(r) },
    Operation(name: "rocketmq.ack", fields: [.sub, .msgId]) { s, r throws(RequestStop) in try s.rocketMQAck(r) },
    Operation(name: "rocketmq.sendBack", fields: [.sub, .msgId, .delayLevel]) { s, r throws(RequestStop) in
      try s.rocketMQ(r) { front, call, out throws(RocketMQStop) in try front.sendBack(call, to: &out) }
    },
    Operation(name: "rocketmq.sendHalf", fields: sentMessage.union([.producerGroup])) { s, r throws(RequestStop) in
      try s.rocketMQ(r) { front, call, out throws(RocketMQStop) in try front.sendHalf(call, to: &out) }
    },
    Operation(name: "rocketmq.endTransaction", fields: [.transactionId, .state]) { s, r throws(RequestStop) in
      try s.rocketMQ(r) { front, call, out throws(RocketMQStop) in try front.endTransaction(call, to: &out) }
    },
    Operation(name: "rocketmq.registerProducer", fields: [.producerGroup]) { s, r throws(RequestStop) in
      try s.rocketMQ(r) { front, call, out throws(RocketMQStop) in try front.registerProducer(call, to: &out) }
    },
  ]

  private static let names = NameTable(all.map(\.name))

  static func find(_ name: UnsafeRawBufferPointer) -> Operation? { names.index(of: name).map { all[$0] } }
}
