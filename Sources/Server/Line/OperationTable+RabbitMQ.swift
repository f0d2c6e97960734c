// The operations of the RabbitMQ front end.

import LineProtocol

extension OperationTable {
  private static let flags: FieldSet = [.durable, .autoDelete, .passive, .arguments]
  private static let binding: FieldSet = [.queue, .exchange, .routingKey, .arguments]
  private static let exchangeBinding: FieldSet = [.destination, .source, .routingKey, .arguments]
  /// The fields of `properties`.
  static let rabbitMQProperties: FieldSet = [
    .expiration, .headers, .messageId, .correlationId, .replyTo, .contentType, .contentEncoding, .deliveryMode,
    .priority, .timestamp, .type, .userId, .appId,
  ]

  static let rabbitMQ: [Operation] = [
    Operation(name: "rabbitmq.exchangeDeclare", permission: .known, fields: flags.union([.exchange, .type, .internal]))
    {
      s, r throws(RequestStop) in try s.rabbitMQExchangeDeclare(r)
    },
    Operation(
      name: "rabbitmq.exchangeDelete", permission: .needs([Need(right: .admin, kind: .exchange, field: .exchange)]),
      fields: [.exchange, .ifUnused]
    ) { s, r throws(RequestStop) in
      try s.rabbitMQExchangeDelete(r)
    },
    Operation(name: "rabbitmq.exchangeBind", permission: .known, fields: exchangeBinding) {
      s, r throws(RequestStop) in try s.rabbitMQExchangeBind(r)
    },
    Operation(name: "rabbitmq.exchangeUnbind", permission: .known, fields: exchangeBinding) {
      s, r throws(RequestStop) in try s.rabbitMQExchangeUnbind(r)
    },
    Operation(name: "rabbitmq.exchanges", permission: .known, fields: []) { s, r throws(RequestStop) in
      s.rabbitMQExchanges(r)
    },
    Operation(
      name: "rabbitmq.delayed", permission: .needs([Need(right: .inspect, kind: .exchange, field: .exchange)]),
      fields: [.exchange, .fromMs, .toMs, .limit, .cursor]
    ) { s, r throws(RequestStop) in try s.rabbitMQDelayed(r) },
    Operation(
      name: "rabbitmq.cancelDelayed", permission: .needs([Need(right: .cancel, kind: .exchange, field: .exchange)]),
      fields: [.exchange, .id]
    ) { s, r throws(RequestStop) in try s.rabbitMQCancelDelayed(r) },
    Operation(name: "rabbitmq.queueDeclare", permission: .known, fields: flags.union([.queue, .exclusive])) {
      s, r throws(RequestStop) in
      try s.rabbitMQQueueDeclare(r)
    },
    Operation(name: "rabbitmq.queueBind", permission: .binding, fields: binding) { s, r throws(RequestStop) in
      try s.rabbitMQQueueBind(r)
    },
    Operation(name: "rabbitmq.queueUnbind", permission: .binding, fields: binding) { s, r throws(RequestStop) in
      try s.rabbitMQQueueUnbind(r)
    },
    Operation(name: "rabbitmq.queuePurge", permission: .queue(.admin), fields: [.queue]) { s, r throws(RequestStop) in
      try s.rabbitMQQueuePurge(r)
    },
    Operation(name: "rabbitmq.queueDelete", permission: .queue(.admin), fields: [.queue, .ifUnused, .ifEmpty]) {
      s, r throws(RequestStop) in
      try s.rabbitMQQueueDelete(r)
    },
    Operation(name: "rabbitmq.queues", permission: .known, fields: []) { s, r throws(RequestStop) in s.rabbitMQQueues(r)
    },
    Operation(
      name: "rabbitmq.publish", permission: .needs([Need(right: .schedule, kind: .exchange, field: .exchange)]),
      fields: [.exchange, .routingKey, .body, .bodyBase64, .mandatory, .properties]
    ) {
      s, r throws(RequestStop) in try s.rabbitMQPublish(r)
    },
    Operation(
      name: "rabbitmq.consume", permission: .queue(.consume),
      fields: [.queue, .consumerTag, .noAck, .prefetch, .exclusive, .arguments], pushes: true
    ) {
      s, r throws(RequestStop) in try s.rabbitMQConsume(r)
    },
    Operation(name: "rabbitmq.cancel", permission: .known, fields: [.consumerTag]) { s, r throws(RequestStop) in
      try s.rabbitMQCancel(r)
    },
    Operation(name: "rabbitmq.get", permission: .queue(.consume), fields: [.queue, .noAck]) {
      s, r throws(RequestStop) in try s.rabbitMQGet(r)
    },
    Operation(name: "rabbitmq.qos", permission: .known, fields: [.prefetch, .global]) { s, r throws(RequestStop) in
      try s.rabbitMQQos(r)
    },
    Operation(name: "rabbitmq.recover", permission: .known, fields: []) { s, r throws(RequestStop) in
      try s.rabbitMQRecover(r)
    },
    Operation(name: "rabbitmq.txSelect", permission: .known, fields: []) { s, r throws(RequestStop) in
      s.rabbitMQTxSelect(r)
    },
    Operation(name: "rabbitmq.txCommit", permission: .known, fields: []) { s, r throws(RequestStop) in
      try s.rabbitMQTxCommit(r)
    },
    Operation(name: "rabbitmq.txRollback", permission: .known, fields: []) { s, r throws(RequestStop) in
      try s.rabbitMQTxRollback(r)
    },
    Operation(name: "rabbitmq.ack", permission: .known, fields: [.deliveryTag, .multiple]) { s, r throws(RequestStop) in
      try s.rabbitMQAck(r)
    },
    Operation(name: "rabbitmq.nack", permission: .known, fields: [.deliveryTag, .multiple, .requeue]) {
      s, r throws(RequestStop) in
      try s.rabbitMQNack(r)
    },
    Operation(name: "rabbitmq.reject", permission: .known, fields: [.deliveryTag, .requeue]) {
      s, r throws(RequestStop) in
      try s.rabbitMQNack(r)
    },
  ]
}
