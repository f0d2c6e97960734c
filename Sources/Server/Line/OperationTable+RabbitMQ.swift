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
    Operation(name: "rabbitmq.exchangeDeclare", fields: flags.union([.exchange, .type, .internal])) {
      s, r throws(RequestStop) in try s.rabbitMQExchangeDeclare(r)
    },
    Operation(name: "rabbitmq.exchangeDelete", fields: [.exchange, .ifUnused]) { s, r throws(RequestStop) in
      try s.rabbitMQExchangeDelete(r)
    },
    Operation(name: "rabbitmq.exchangeBind", fields: exchangeBinding) { s, r throws(RequestStop) in
      try s.rabbitMQExchangeBind(r)
    },
    Operation(name: "rabbitmq.exchangeUnbind", fields: exchangeBinding) { s, r throws(RequestStop) in
      try s.rabbitMQExchangeUnbind(r)
    },
    Operation(name: "rabbitmq.exchanges", fields: []) { s, r throws(RequestStop) in s.rabbitMQExchanges(r) },
    Operation(name: "rabbitmq.delayed", fields: [.exchange, .fromMs, .toMs, .limit, .cursor]) {
      s, r throws(RequestStop) in try s.rabbitMQDelayed(r)
    },
    Operation(name: "rabbitmq.cancelDelayed", fields: [.exchange, .id]) { s, r throws(RequestStop) in
      try s.rabbitMQCancelDelayed(r)
    },
    Operation(name: "rabbitmq.queueDeclare", fields: flags.union([.queue, .exclusive])) { s, r throws(RequestStop) in
      try s.rabbitMQQueueDeclare(r)
    },
    Operation(name: "rabbitmq.queueBind", fields: binding) { s, r throws(RequestStop) in
      try s.rabbitMQQueueBind(r)
    },
    Operation(name: "rabbitmq.queueUnbind", fields: binding) { s, r throws(RequestStop) in
      try s.rabbitMQQueueUnbind(r)
    },
    Operation(name: "rabbitmq.queuePurge", fields: [.queue]) { s, r throws(RequestStop) in
      try s.rabbitMQQueuePurge(r)
    },
    Operation(name: "rabbitmq.queueDelete", fields: [.queue, .ifUnused, .ifEmpty]) { s, r throws(RequestStop) in
      try s.rabbitMQQueueDelete(r)
    },
    Operation(name: "rabbitmq.queues", fields: []) { s, r throws(RequestStop) in s.rabbitMQQueues(r) },
    Operation(name: "rabbitmq.publish", fields: [.exchange, .routingKey, .body, .bodyBase64, .mandatory, .properties]) {
      s, r throws(RequestStop) in try s.rabbitMQPublish(r)
    },
    Operation(name: "rabbitmq.consume", fields: [.queue, .consumerTag, .noAck, .prefetch, .exclusive, .arguments]) {
      s, r throws(RequestStop) in try s.rabbitMQConsume(r)
    },
    Operation(name: "rabbitmq.cancel", fields: [.consumerTag]) { s, r throws(RequestStop) in
      try s.rabbitMQCancel(r)
    },
    Operation(name: "rabbitmq.get", fields: [.queue, .noAck]) { s, r throws(RequestStop) in try s.rabbitMQGet(r) },
    Operation(name: "rabbitmq.ack", fields: [.deliveryTag, .multiple]) { s, r throws(RequestStop) in
      try s.rabbitMQAck(r)
    },
    Operation(name: "rabbitmq.nack", fields: [.deliveryTag, .multiple, .requeue]) { s, r throws(RequestStop) in
      try s.rabbitMQNack(r)
    },
    Operation(name: "rabbitmq.reject", fields: [.deliveryTag, .requeue]) { s, r throws(RequestStop) in
      try s.rabbitMQNack(r)
    },
  ]
}
