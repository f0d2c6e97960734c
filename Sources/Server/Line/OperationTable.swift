// Every operation of the protocol: its name, who may, the fields it takes, who does it. To add one, add a
// line here and a function where its kind is.

import LineProtocol
import RocketMQFrontEnd

/// One operation.
struct Operation: Sendable {
  let name: String
  let permission: Permission
  let fields: FieldSet
  /// Whether it makes the server send what was not just asked for.
  var pushes = false
  /// Whether messages that come later may be sent before its reply, which waits for the disk. A consumer must know its
  /// subscription before the first message, but it need not know that an acknowledgement is durable.
  var isOvertaken = false
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
      Operation(name: "hello", permission: .anybody, fields: [.protocol, .client, .token]) { s, r throws(RequestStop) in
        try s.hello(r)
      },
      Operation(name: "ping", permission: .anybody, fields: []) { s, r throws(RequestStop) in s.ping(r) },

      Operation(
        name: "schedule", permission: .topic(.schedule), fields: message.union(times).union([.ifExists, .acks]),
        isOvertaken: true
      ) { s, r throws(RequestStop) in
        try s.schedule(r)
      },
      Operation(
        name: "scheduleMany", permission: .topic(.schedule), fields: [.topic, .messages, .acks], isOvertaken: true
      ) {
        s, r throws(RequestStop) in
        try s.scheduleMany(r)
      },
      Operation(name: "publish", permission: .topic(.schedule), fields: message.union([.acks]), isOvertaken: true) {
        s, r throws(RequestStop) in try s.publish(r)
      },
      Operation(name: "cancel", permission: .topic(.cancel), fields: [.topic, .id], isOvertaken: true) {
        s, r throws(RequestStop) in
        try s.cancel(r)
      },
      Operation(name: "reschedule", permission: .topic(.cancel), fields: times.union([.topic, .id]), isOvertaken: true)
      {
        s, r throws(RequestStop) in
        try s.reschedule(r)
      },
      Operation(name: "get", permission: .topic(.inspect), fields: [.topic, .id], isOvertaken: true) {
        s, r throws(RequestStop) in
        try s.get(r)
      },
      Operation(name: "list", permission: .topic(.inspect), fields: [.topic, .fromMs, .toMs, .limit, .cursor]) {
        s, r throws(RequestStop) in
        try s.list(r)
      },

      Operation(name: "subscribe", permission: .consume(), fields: consumer.union([.credit]), pushes: true) {
        s, r throws(RequestStop) in
        try s.subscribe(r)
      },
      Operation(name: "unsubscribe", permission: .known, fields: [.sub]) { s, r throws(RequestStop) in
        try s.unsubscribe(r)
      },
      Operation(name: "fetch", permission: .consume(), fields: consumer.union([.max, .waitMs])) {
        s, r throws(RequestStop) in try s.fetch(r)
      },
      Operation(name: "ack", permission: .consume(), fields: selection.union([.acks]), isOvertaken: true) {
        s, r throws(RequestStop) in
        try s.ack(r)
      },
      Operation(name: "nack", permission: .consume(), fields: selection.union([.acks, .delayMs]), isOvertaken: true) {
        s, r throws(RequestStop) in try s.nack(r)
      },
      Operation(name: "touch", permission: .consume(), fields: selection.union([.acks]), isOvertaken: true) {
        s, r throws(RequestStop) in
        try s.touch(r)
      },
      Operation(name: "seek", permission: .consume(), fields: [.topic, .group, .to]) { s, r throws(RequestStop) in
        try s.seek(r)
      },
      Operation(name: "redrive", permission: .redrive, fields: [.topic, .group, .limit]) { s, r throws(RequestStop) in
        try s.redrive(r)
      },

      Operation(name: "read", permission: .topic(.consume), fields: [.topic, .offset, .limit]) {
        s, r throws(RequestStop) in try s.read(r)
      },

      Operation(name: "createTopic", permission: .topic(.admin), fields: [.topic, .retentionMs, .retentionBytes]) {
        s, r throws(RequestStop) in
        try s.createTopic(r)
      },
      Operation(name: "deleteTopic", permission: .topic(.admin), fields: [.topic]) { s, r throws(RequestStop) in
        try s.deleteTopic(r)
      },
      Operation(name: "topics", permission: .known, fields: []) { s, r throws(RequestStop) in s.topics(r) },
      Operation(name: "stats", permission: .everything(.inspect), fields: []) { s, r throws(RequestStop) in s.stats(r)
      },
      Operation(name: "wheel", permission: .everything(.inspect), fields: []) { s, r throws(RequestStop) in s.wheel(r)
      },
      Operation(name: "snapshot", permission: .everything(.admin), fields: [.folder]) { s, r throws(RequestStop) in
        try s.snapshot(r)
      },
      Operation(name: "overview", permission: .known, fields: [.limit]) { s, r throws(RequestStop) in
        try s.overview(r)
      },
    ] + rocketMQ + rabbitMQ

  private static let sentMessage: FieldSet = [.topic, .body, .bodyBase64, .tags, .keys, .shardingKey, .properties]
  private static let sentDelay: FieldSet = [.delayTimeLevel, .delayTimeSec, .delayTimeMs, .deliverTimeMs]

  private static let rocketMQ: [Operation] = [
    Operation(name: "rocketmq.send", permission: .topic(.schedule), fields: sentMessage.union(sentDelay)) {
      s, r throws(RequestStop) in
      try s.rocketMQ(r) { front, call, out throws(RocketMQStop) in try front.send(call, to: &out) }
    },
    Operation(name: "rocketmq.recall", permission: .topic(.cancel), fields: [.topic, .recallHandle]) {
      s, r throws(RequestStop) in
      try s.rocketMQ(r) { front, call, out throws(RocketMQStop) in try front.recall(call, to: &out) }
    },
    Operation(name: "rocketmq.levels", permission: .known, fields: []) { s, r throws(RequestStop) in
      try s.rocketMQ(r) { front, call, out throws(RocketMQStop) in front.levels(call, to: &out) }
    },
    Operation(
      name: "rocketmq.subscribe", permission: .consume(.consumerGroup),
      fields: [.topic, .consumerGroup, .subExpression, .credit, .maxReconsumeTimes],
      pushes: true
    ) { s, r throws(RequestStop) in try s.rocketMQSubscribe(r) },
    Operation(name: "rocketmq.ack", permission: .known, fields: [.sub, .msgId]) { s, r throws(RequestStop) in
      try s.rocketMQAck(r)
    },
    Operation(name: "rocketmq.sendBack", permission: .known, fields: [.sub, .msgId, .delayLevel]) {
      s, r throws(RequestStop) in
      try s.rocketMQ(r) { front, call, out throws(RocketMQStop) in try front.sendBack(call, to: &out) }
    },
    Operation(name: "rocketmq.sendHalf", permission: .halfMessage, fields: sentMessage.union([.producerGroup])) {
      s, r throws(RequestStop) in
      try s.rocketMQ(r) { front, call, out throws(RocketMQStop) in try front.sendHalf(call, to: &out) }
    },
    Operation(name: "rocketmq.endTransaction", permission: .known, fields: [.transactionId, .state]) {
      s, r throws(RequestStop) in
      try s.rocketMQEndTransaction(r)
    },
    Operation(name: "rocketmq.registerProducer", permission: .producer, fields: [.producerGroup], pushes: true) {
      s, r throws(RequestStop) in
      try s.rocketMQ(r) { front, call, out throws(RocketMQStop) in try front.registerProducer(call, to: &out) }
    },
  ]

  private static let names = NameTable(all.map(\.name))

  // Behind a pointer that lives as long as the program: an element of an array is copied when it is read, with a reference
  // counted for its name and one for its function.
  nonisolated(unsafe) private static let table: UnsafePointer<Operation> = {
    let table = UnsafeMutablePointer<Operation>.allocate(capacity: all.count)
    for (place, operation) in all.enumerated() { (table + place).initialize(to: operation) }
    return UnsafePointer(table)
  }()

  /// The operation of that name; nil when there is none.
  static func find(_ name: UnsafeRawBufferPointer) -> UnsafePointer<Operation>? {
    names.index(of: name).map { table + $0 }
  }
}
