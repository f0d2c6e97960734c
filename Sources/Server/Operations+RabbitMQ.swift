// rabbitmq.exchangeDeclare … queueDelete, publish: what changes or uses the topology.

import Broker
import LineProtocol
import Primitives
import RabbitMQFrontEnd

extension RequestStop {
  init(_ error: AMQPError) {
    switch error {
    case .refused(let refusal): self = .refused(refusal)
    case .stopped(let stop): self = RequestStop(stop)
    }
  }
}

extension Request {
  /// A name or key of AMQP: up to 255 bytes.
  func amqpText(_ field: FieldName) throws(RequestStop) -> Text? {
    guard let bytes = try string(field) else { return nil }
    guard bytes.count <= 255 else { throw .refused(.invalid(field, mustBe: "of at most 255 bytes")) }
    return Text(bytes)
  }

  func requiredAMQPText(_ field: FieldName) throws(RequestStop) -> Text {
    guard let text = try amqpText(field) else { throw .refused(.missing(field)) }
    return text
  }

  /// The queue's name; the empty one means the queue that the connection declared last.
  func queueName() throws(RequestStop) -> Text {
    let name = try requiredAMQPText(.queue)
    guard name.isEmpty else { return name }
    guard let last = connection.rabbitMQ?.lastQueue else { throw RequestStop(AMQPError.noPreviousQueue) }
    return last
  }

  func arguments() throws(RequestStop) -> [JSONTree.Member] {
    do throws(Refusal) { return try reader.object(.arguments).map { JSONTree.members($0) } ?? [] } catch {
      throw .refused(error)
    }
  }
}

extension Server {
  private func amqp<T>(_ body: () throws(AMQPError) -> T) throws(RequestStop) -> T {
    do throws(AMQPError) { return try body() } catch { throw RequestStop(error) }
  }

  private func replyEmpty(_ request: Request, _ gate: Gate) {
    request.connection.out.beginReply(rid: request.rid)
    request.connection.out.endLine()
    hold(request.connection, until: gate)
  }

  private func replyCount(_ request: Request, _ count: Answer<Int>) {
    request.connection.out.beginReply(rid: request.rid)
    request.connection.out.append(",\"messageCount\":")
    request.connection.out.appendInteger(Int64(count.value))
    request.connection.out.endLine()
    hold(request.connection, until: count.gate)
  }

  // MARK: Exchanges

  func rabbitMQExchangeDeclare(_ request: Request) throws(RequestStop) {
    let name = try request.requiredAMQPText(.exchange)
    let isPassive = try request.boolean(.passive) ?? false
    let kind = try request.choice(.type, ExchangeKind.allCases.map { ($0.rawValue, $0) })
    let isDurable = try request.boolean(.durable) ?? false
    let isAutoDelete = try request.boolean(.autoDelete) ?? false
    let isInternal = try request.boolean(.internal) ?? false
    let arguments = try request.arguments()
    if isPassive {
      return replyEmpty(request, try amqp { () throws(AMQPError) in try rabbitMQ.checkExchange(name) })
    }
    guard let kind else { throw .refused(.missing(.type)) }
    let declaration = RabbitMQ.ExchangeDeclaration(
      name: name, kind: kind, isDurable: isDurable, isAutoDelete: isAutoDelete, isInternal: isInternal,
      arguments: arguments)
    replyEmpty(request, try amqp { () throws(AMQPError) in try rabbitMQ.declare(declaration) })
  }

  func rabbitMQExchangeDelete(_ request: Request) throws(RequestStop) {
    let name = try request.requiredAMQPText(.exchange)
    let ifUnused = try request.boolean(.ifUnused) ?? false
    replyEmpty(request, try amqp { () throws(AMQPError) in try rabbitMQ.deleteExchange(name, ifUnused: ifUnused) })
  }

  // MARK: Queues

  func rabbitMQQueueDeclare(_ request: Request) throws(RequestStop) {
    let connection = request.connection
    let name = try request.amqpText(.queue) ?? ""
    let isPassive = try request.boolean(.passive) ?? false
    let declaration = RabbitMQ.QueueDeclaration(
      name: name, isDurable: try request.boolean(.durable) ?? false,
      isExclusive: try request.boolean(.exclusive) ?? false, isAutoDelete: try request.boolean(.autoDelete) ?? false,
      arguments: try request.arguments())
    let answer = try amqp { () throws(AMQPError) in
      isPassive
        ? Answer(try rabbitMQ.queue(name, connection.key), gate: broker.gate)
        : try rabbitMQ.declare(declaration, connection.key)
    }
    let queue = answer.value
    connection.rabbitMQSide().lastQueue = queue.name
    connection.out.beginReply(rid: request.rid)
    connection.out.append(",\"queue\":")
    queue.name.bytes.withUnsafeBytes { connection.out.appendJSONString($0) }
    connection.out.append(",\"messageCount\":")
    connection.out.appendInteger(Int64(rabbitMQ.messageCount(queue)))
    connection.out.append(",\"consumerCount\":")
    connection.out.appendInteger(Int64(queue.consumerCount))
    connection.out.endLine()
    hold(connection, until: answer.gate)
  }

  func rabbitMQQueueBind(_ request: Request) throws(RequestStop) {
    let queue = try request.queueName()
    let exchange = try request.requiredAMQPText(.exchange)
    let key = try request.amqpText(.routingKey) ?? ""
    let arguments = try request.arguments()
    let gate = try amqp { () throws(AMQPError) in
      try rabbitMQ.bind(queue, exchange, key, arguments, request.connection.key)
    }
    replyEmpty(request, gate)
  }

  func rabbitMQQueueUnbind(_ request: Request) throws(RequestStop) {
    let queue = try request.queueName()
    let exchange = try request.requiredAMQPText(.exchange)
    let key = try request.amqpText(.routingKey) ?? ""
    let arguments = try request.arguments()
    let gate = try amqp { () throws(AMQPError) in
      try rabbitMQ.unbind(queue, exchange, key, arguments, request.connection.key)
    }
    replyEmpty(request, gate)
  }

  func rabbitMQQueuePurge(_ request: Request) throws(RequestStop) {
    let name = try request.queueName()
    replyCount(request, try amqp { () throws(AMQPError) in try rabbitMQ.purge(name, request.connection.key) })
  }

  func rabbitMQQueueDelete(_ request: Request) throws(RequestStop) {
    let name = try request.queueName()
    let ifUnused = try request.boolean(.ifUnused) ?? false
    let ifEmpty = try request.boolean(.ifEmpty) ?? false
    let count = try amqp { () throws(AMQPError) in
      try rabbitMQ.deleteQueue(name, ifUnused: ifUnused, ifEmpty: ifEmpty, request.connection.key)
    }
    replyCount(request, count)
  }

  /// All queues by name, as of this moment: what waits, what is with consumers, what they take.
  func rabbitMQQueues(_ request: Request) {
    let connection = request.connection
    func number(_ name: StaticString, _ value: Int) {
      connection.out.append(name)
      connection.out.appendInteger(Int64(value))
    }
    connection.out.beginReply(rid: request.rid)
    connection.out.append(",\"queues\":[")
    for (place, queue) in rabbitMQ.queuesInOrder.enumerated() {
      if place > 0 { connection.out.append(",") }
      connection.out.append("{\"queue\":")
      queue.name.bytes.withUnsafeBytes { connection.out.appendJSONString($0) }
      connection.out.append(",\"durable\":")
      connection.out.appendBoolean(queue.isDurable)
      number(",\"messageCount\":", queue.group.readyCount)
      number(",\"unacknowledged\":", queue.group.inFlight)
      number(",\"expiring\":", queue.group.topic.pendingCount)
      number(",\"consumerCount\":", queue.consumerCount)
      number(",\"bytesOnDisk\":", queue.group.topic.log.bytes)
      connection.out.append("}")
    }
    connection.out.append("]")
    connection.out.endLine()
  }

  // MARK: Publishing

  func rabbitMQPublish(_ request: Request) throws(RequestStop) {
    let connection = request.connection
    let exchange = try request.requiredAMQPText(.exchange)
    let key = try request.requiredAMQPText(.routingKey)
    let isMandatory = try request.boolean(.mandatory) ?? false
    let body: RequestBody
    do throws(Refusal) { body = try request.reader.textBody() } catch { throw .refused(error) }
    var publication = Publication(exchange: exchange, routingKey: key, body: body.bytes, encoding: body.encoding)
    publication.isMandatory = isMandatory
    try readProperties(request, into: &publication)
    let outcome = try amqp { () throws(AMQPError) in try rabbitMQ.publish(publication) }
    if let queue = outcome.refusedBy {
      throw .refused(
        Refusal(code: .limitExceeded, message: "queue '\(queue)' is full and did not take the message (a nack)"))
    }
    if let returned = outcome.returned { writeReturn(connection, returned, body) }
    connection.out.beginReply(rid: request.rid)
    connection.out.endLine()
    hold(connection, until: outcome.gate)
  }

  /// The properties, checked: each known and of its type.
  private func readProperties(_ request: Request, into publication: inout Publication) throws(RequestStop) {
    do throws(Refusal) {
      guard let properties = try request.reader.object(.properties) else { return }
      publication.properties = .json(properties)
      try nestedReader.parseValidated(request.reader.raw(.properties)!, name: "field 'properties'")
      try nestedReader.requireOnly(OperationTable.rabbitMQProperties, operation: "properties")
    } catch { throw .refused(error) }
    let nested = Request(reader: nestedReader, connection: request.connection)
    publication.expiration = try nested.string(.expiration).map { Text($0) }
    publication.isPersistent = try nested.integer(.deliveryMode, in: 1...2) == 2
    _ = try nested.integer(.priority, in: 0...255)
    _ = try nested.integer(.timestamp, in: 0 ... .max)
    for field: FieldName in [
      .messageId, .correlationId, .replyTo, .contentType, .contentEncoding, .type, .userId, .appId,
    ] { _ = try nested.amqpText(field) }
    do throws(Refusal) { _ = try nestedReader.object(.headers) } catch { throw .refused(error) }
  }

  private func writeReturn(_ connection: Connection, _ envelope: Envelope, _ body: RequestBody) {
    connection.out.append("{\"event\":\"rabbitmq.return\",\"replyCode\":312,\"replyText\":\"NO_ROUTE\",")
    envelope.writeFields(to: &connection.out)
    connection.out.appendForeignBodyField(body.bytes, body.encoding)
    connection.out.append("}\n")
  }
}
