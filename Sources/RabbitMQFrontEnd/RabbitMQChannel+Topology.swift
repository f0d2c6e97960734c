// Declaring, binding, purging, deleting and publishing, with the names that only the channel knows: an empty queue name
// means the queue that was declared last on it.

import Broker

extension RabbitMQChannel {
  /// The queue that a name means on this channel.
  ///
  /// - Throws: 404 for the empty name when no queue was declared here.
  public func resolve(_ queueName: Text) throws(AMQPError) -> Text {
    if !queueName.isEmpty { return queueName }
    guard let lastQueue else { throw .noPreviousQueue }
    return lastQueue
  }

  /// The queue that an empty name means; nil when none was declared here.
  public var lastDeclaredQueue: Text? { lastQueue }

  /// Declares an exchange; one that is there must be the same.
  public func declare(_ declaration: RabbitMQ.ExchangeDeclaration) throws(AMQPError) -> Gate {
    try rabbitMQ.declare(declaration)
  }

  /// Checks that an exchange is there.
  public func checkExchange(_ name: Text) throws(AMQPError) -> Gate { try rabbitMQ.checkExchange(name) }

  /// Deletes an exchange with its bindings; nothing happens when it is not there.
  public func deleteExchange(_ name: Text, ifUnused: Bool) throws(AMQPError) -> Gate {
    try rabbitMQ.deleteExchange(name, ifUnused: ifUnused)
  }

  /// Binds an exchange to another one, the source; the same binding again changes nothing.
  public func bindExchange(
    _ destination: Text, to source: Text, _ key: Text, _ arguments: [JSONTree.Member]
  ) throws(AMQPError) -> Gate {
    try rabbitMQ.bindExchange(destination, to: source, key, arguments)
  }

  /// Takes a binding between two exchanges away; nothing happens when it is not there.
  public func unbindExchange(
    _ destination: Text, from source: Text, _ key: Text, _ arguments: [JSONTree.Member]
  ) throws(AMQPError) -> Gate {
    try rabbitMQ.unbindExchange(destination, from: source, key, arguments)
  }

  /// Declares a queue; one that is there must be the same. The queue is the last one declared from here on.
  public func declare(_ declaration: RabbitMQ.QueueDeclaration) throws(AMQPError) -> Answer<DeclaredQueue> {
    if DirectReply.isName(declaration.name) { return try checkReplies(declaration.name) }
    return noteLast(try rabbitMQ.declare(declaration, connection))
  }

  /// Checks that a queue is there. The queue is the last one declared from here on.
  public func checkQueue(_ name: Text) throws(AMQPError) -> Answer<DeclaredQueue> {
    if DirectReply.isName(name) { return try checkReplies(name) }
    return noteLast(Answer(try rabbitMQ.queue(name, connection), gate: broker.gate))
  }

  private func noteLast(_ answer: Answer<Queue>) -> Answer<DeclaredQueue> {
    let queue = answer.value
    lastQueue = queue.name
    return Answer(
      DeclaredQueue(
        name: queue.name, messageCount: rabbitMQ.messageCount(queue), consumerCount: queue.consumerCount),
      gate: answer.gate)
  }

  /// Binds a queue to an exchange; the same binding again changes nothing.
  public func bind(
    _ queueName: Text, _ exchange: Text, _ key: Text, _ arguments: [JSONTree.Member]
  ) throws(AMQPError) -> Gate {
    let queue = try resolve(queueName)
    return try rabbitMQ.bind(queue, exchange, routingKey(key, queueName, queue), arguments, connection)
  }

  /// Where neither queue nor routing key is given, the key is the name of the queue that was declared last.
  private func routingKey(_ key: Text, _ given: Text, _ resolved: Text) -> Text {
    key.isEmpty && given.isEmpty ? resolved : key
  }

  /// Takes a binding away; nothing happens when it is not there.
  public func unbind(
    _ queueName: Text, _ exchange: Text, _ key: Text, _ arguments: [JSONTree.Member]
  ) throws(AMQPError) -> Gate {
    let queue = try resolve(queueName)
    return try rabbitMQ.unbind(queue, exchange, routingKey(key, queueName, queue), arguments, connection)
  }

  /// Drops the ready messages of a queue; gives how many.
  public func purge(_ queueName: Text) throws(AMQPError) -> Answer<Int> {
    try rabbitMQ.purge(resolve(queueName), connection)
  }

  /// Deletes a queue; gives how many ready messages it had.
  public func deleteQueue(_ queueName: Text, ifUnused: Bool, ifEmpty: Bool) throws(AMQPError) -> Answer<Int> {
    try rabbitMQ.deleteQueue(resolve(queueName), ifUnused: ifUnused, ifEmpty: ifEmpty, connection)
  }

  /// Publishes a message: into every queue that its exchange finds, in one record; on a transactional channel when it is
  /// committed.
  public func publish(_ publication: Publication) throws(AMQPError) -> PublicationOutcome {
    var publication = publication
    try nameReplies(of: &publication)
    guard transaction != nil else { return try rabbitMQ.publish(publication) }
    transaction?.hold(try rabbitMQ.check(publication), publication.body)
    return PublicationOutcome()
  }

  /// The same for a message that came by AMQP.
  @inline(__always) public func publish(_ message: AMQPMessage) throws(AMQPError) -> PublicationOutcome {
    if transaction == nil, !message.wantsDirectReply { return try rabbitMQ.publish(message) }
    return try publish(message.publication)
  }
}

/// What the declaration of a queue is answered with.
public struct DeclaredQueue {
  /// Its name.
  public let name: Text
  /// Messages that could be delivered now.
  public let messageCount: Int
  /// Consumers now.
  public let consumerCount: Int
}
