// rabbitmq.exchangeDeclare … queueDelete, publish: what changes or uses the topology.

import Broker
import LineProtocol
import Primitives
import RabbitMQFrontEnd

extension RequestStop {
  init(_ error: AMQPError) {
    switch error {
    case .refused(let refusal): self = .refused(refusal.onALine)
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

  func arguments() throws(RequestStop) -> [JSONTree.Member] {
    do throws(Refusal) { return try reader.object(.arguments).map { JSONTree.members($0) } ?? [] } catch {
      throw .refused(error)
    }
  }
}

extension LineSession {
  /// The session's channel, made when it is first needed.
  var rabbitMQChannel: RabbitMQChannel {
    if let channel { return channel }
    let made = RabbitMQChannel(services.rabbitMQ, connection: key)
    channel = made
    return made
  }

  func amqp<T>(_ body: () throws(AMQPError) -> T) throws(RequestStop) -> T {
    do throws(AMQPError) { return try body() } catch { throw RequestStop(error) }
  }

  /// The queue's name; the empty one means the queue that was declared last.
  func queueName(_ request: Request) throws(RequestStop) -> Text {
    let name = try request.requiredAMQPText(.queue)
    return try amqp { () throws(AMQPError) in try rabbitMQChannel.resolve(name) }
  }

  /// Does what is asked, and answers without saying more.
  func replyEmpty(_ request: Request, _ body: () throws(AMQPError) -> Gate) throws(RequestStop) {
    let gate = try amqp(body)
    beginReply(request)
    out.endLine()
    hold(until: gate)
  }

  private func replyCount(_ request: Request, _ body: () throws(AMQPError) -> Answer<Int>) throws(RequestStop) {
    let count = try amqp(body)
    beginReply(request)
    out.append(",\"messageCount\":")
    out.appendInteger(Int64(count.value))
    out.endLine()
    hold(until: count.gate)
  }

  // MARK: Exchanges

  private static let exchangeKinds: [(StaticString, ExchangeKind)] = [
    ("direct", .direct), ("fanout", .fanout), ("topic", .topic), ("headers", .headers), ("x-delayed-message", .delayed),
  ]

  func rabbitMQExchangeDeclare(_ request: Request) throws(RequestStop) {
    let name = try request.requiredAMQPText(.exchange)
    let isPassive = try request.boolean(.passive) ?? false
    let kind = try request.choice(.type, Self.exchangeKinds)
    let isDurable = try request.boolean(.durable) ?? false
    let isAutoDelete = try request.boolean(.autoDelete) ?? false
    let isInternal = try request.boolean(.internal) ?? false
    let arguments = try request.arguments()
    try asking { rights throws(MissingRight) in
      try rights.require(isPassive ? .inspect : .admin, .exchange, name)
      try rights.checkContinuation(arguments)
    }
    if isPassive {
      return try replyEmpty(request) { () throws(AMQPError) in try rabbitMQChannel.checkExchange(name) }
    }
    guard let kind else { throw .refused(.missing(.type)) }
    let declaration = RabbitMQ.ExchangeDeclaration(
      name: name, kind: kind, isDurable: isDurable, isAutoDelete: isAutoDelete, isInternal: isInternal,
      arguments: arguments)
    try replyEmpty(request) { () throws(AMQPError) in try rabbitMQChannel.declare(declaration) }
  }

  func rabbitMQExchangeDelete(_ request: Request) throws(RequestStop) {
    let name = try request.requiredAMQPText(.exchange)
    let ifUnused = try request.boolean(.ifUnused) ?? false
    try replyEmpty(request) { () throws(AMQPError) in try rabbitMQChannel.deleteExchange(name, ifUnused: ifUnused) }
  }

  // MARK: Queues

  func rabbitMQQueueDeclare(_ request: Request) throws(RequestStop) {
    let name = try request.amqpText(.queue) ?? ""
    let isPassive = try request.boolean(.passive) ?? false
    let arguments = try request.arguments()
    try asking { rights throws(MissingRight) in
      // The server makes a name for a queue without one.
      try rights.require(isPassive ? .inspect : .admin, queue: name.isEmpty ? RabbitMQ.madeNamePrefix : name)
      try rights.checkContinuation(arguments)
    }
    let declaration = RabbitMQ.QueueDeclaration(
      name: name, isDurable: try request.boolean(.durable) ?? false,
      isExclusive: try request.boolean(.exclusive) ?? false, isAutoDelete: try request.boolean(.autoDelete) ?? false,
      arguments: arguments)
    let answer = try amqp { () throws(AMQPError) in
      isPassive ? try rabbitMQChannel.checkQueue(name) : try rabbitMQChannel.declare(declaration)
    }
    let queue = answer.value
    beginReply(request)
    out.append(",\"queue\":")
    queue.name.bytes.withUnsafeBytes { out.appendJSONString($0) }
    out.append(",\"messageCount\":")
    out.appendInteger(Int64(queue.messageCount))
    out.append(",\"consumerCount\":")
    out.appendInteger(Int64(queue.consumerCount))
    out.endLine()
    hold(until: answer.gate)
  }

  func rabbitMQQueueBind(_ request: Request) throws(RequestStop) {
    let queue = try queueName(request)
    let exchange = try request.requiredAMQPText(.exchange)
    let key = try request.amqpText(.routingKey) ?? ""
    let arguments = try request.arguments()
    try replyEmpty(request) { () throws(AMQPError) in try rabbitMQChannel.bind(queue, exchange, key, arguments) }
  }

  func rabbitMQQueueUnbind(_ request: Request) throws(RequestStop) {
    let queue = try queueName(request)
    let exchange = try request.requiredAMQPText(.exchange)
    let key = try request.amqpText(.routingKey) ?? ""
    let arguments = try request.arguments()
    try replyEmpty(request) { () throws(AMQPError) in try rabbitMQChannel.unbind(queue, exchange, key, arguments) }
  }

  func rabbitMQQueuePurge(_ request: Request) throws(RequestStop) {
    let name = try queueName(request)
    try replyCount(request) { () throws(AMQPError) in try rabbitMQChannel.purge(name) }
  }

  func rabbitMQQueueDelete(_ request: Request) throws(RequestStop) {
    let name = try queueName(request)
    let ifUnused = try request.boolean(.ifUnused) ?? false
    let ifEmpty = try request.boolean(.ifEmpty) ?? false
    try replyCount(request) { () throws(AMQPError) in
      try rabbitMQChannel.deleteQueue(name, ifUnused: ifUnused, ifEmpty: ifEmpty)
    }
  }

  func isShown(_ queue: Queue) -> Bool { queue.name.bytes.withBytes { allows(.inspect, .queue, $0) } }

  /// The queues that the client may inspect by name, as of this moment: what waits, what is with consumers, what they take.
  func rabbitMQQueues(_ request: Request) {
    beginReply(request)
    list(",\"queues\":[", services.rabbitMQ.queuesInOrder.filter(isShown), write)
    out.endLine()
  }

  func write(_ queue: Queue) {
    out.append("{\"queue\":")
    queue.name.bytes.withUnsafeBytes { out.appendJSONString($0) }
    out.append(",\"durable\":")
    out.appendBoolean(queue.isDurable)
    field(",\"messageCount\":", Int64(queue.group.readyCount))
    field(",\"unacknowledged\":", Int64(queue.group.inFlight))
    field(",\"expiring\":", Int64(queue.group.topic.pendingCount))
    field(",\"consumerCount\":", Int64(queue.consumerCount))
    field(",\"bytesOnDisk\":", Int64(queue.group.topic.log.bytes))
    out.append("}")
  }

  // MARK: Publishing

  func rabbitMQPublish(_ request: Request) throws(RequestStop) {
    let exchange = try request.requiredAMQPText(.exchange)
    let key = try request.requiredAMQPText(.routingKey)
    let isMandatory = try request.boolean(.mandatory) ?? false
    if isMandatory, !canPush {
      throw .refused(.badRequest("'mandatory' needs a connection on which the server can send messages back"))
    }
    let body: RequestBody
    do throws(Refusal) { body = try request.reader.textBody() } catch { throw .refused(error) }
    do throws(BrokerStop) { try broker.requireBody(bytes: body.bytes.count) } catch { throw RequestStop(error) }
    var publication = Publication(exchange: exchange, routingKey: key, body: body.bytes, encoding: body.encoding)
    publication.isMandatory = isMandatory
    try readProperties(request, into: &publication)
    try asking { rights throws(MissingRight) in try rights.checkTargets(of: publication) }
    try requireBounded(body.bytes.count)
    let outcome = try amqp { () throws(AMQPError) in try rabbitMQChannel.publish(publication) }
    if let queue = outcome.refusedBy {
      throw .refused(
        Refusal(code: .limitExceeded, message: "queue '\(queue)' is full and did not take the message (a nack)"))
    }
    if let returned = outcome.returned { writeReturn(returned, outcome.returnedText, body.bytes, body.encoding) }
    beginReply(request)
    out.endLine()
    hold(until: outcome.gate)
  }

  /// The properties, checked: each known and of its type.
  private func readProperties(_ request: Request, into publication: inout Publication) throws(RequestStop) {
    do throws(Refusal) {
      guard let properties = try request.reader.object(.properties) else { return }
      publication.properties = .json(properties)
      try services.nestedReader.parseValidated(request.reader.raw(.properties)!, name: "field 'properties'")
      try services.nestedReader.requireOnly(OperationTable.rabbitMQProperties, operation: "properties")
    } catch { throw .refused(error) }
    let nested = Request(reader: services.nestedReader)
    publication.expiration = try nested.string(.expiration).map { Text($0) }
    publication.isPersistent = try nested.integer(.deliveryMode, in: 1...2) == 2
    publication.priority = UInt8(try nested.integer(.priority, in: 0...255) ?? 0)
    _ = try nested.integer(.timestamp, in: 0 ... .max)
    publication.replyTo = try nested.amqpText(.replyTo)
    for field: FieldName in [
      .messageId, .correlationId, .contentType, .contentEncoding, .type, .userId, .appId,
    ] { _ = try nested.amqpText(field) }
    do throws(Refusal) { _ = try services.nestedReader.object(.headers) } catch { throw .refused(error) }
  }

  func writeReturn(
    _ envelope: Envelope, _ replyText: StaticString, _ body: UnsafeRawBufferPointer, _ encoding: BodyEncoding
  ) {
    out.append("{\"event\":\"rabbitmq.return\",\"replyCode\":312,\"replyText\":\"")
    out.append(replyText)
    out.append("\",")
    envelope.writeFields(to: &out)
    out.appendForeignBodyField(body, encoding)
    out.append("}\n")
  }
}
