// Queues: declared, purged, deleted, in use or not.

import Broker
import LineProtocol

extension RabbitMQ {
  /// What a queue is declared to be.
  public struct QueueDeclaration {
    var name: Text
    var isDurable: Bool
    var isExclusive: Bool
    var isAutoDelete: Bool
    var arguments: [JSONTree.Member]

    /// Puts a declaration together; an empty name asks for one of the server's making.
    public init(
      name: Text, isDurable: Bool, isExclusive: Bool, isAutoDelete: Bool, arguments: [JSONTree.Member]
    ) {
      self.name = name
      self.isDurable = isDurable
      self.isExclusive = isExclusive
      self.isAutoDelete = isAutoDelete
      self.arguments = arguments
    }
  }

  /// Declares a queue; one that is there must be the same.
  public func declare(_ declaration: QueueDeclaration, _ connection: UInt64) throws(AMQPError) -> Answer<Queue> {
    let name = declaration.name.isEmpty ? madeName() : declaration.name
    guard name.bytes.count <= 255 else { throw .preconditionFailed("a queue's name has at most 255 bytes") }
    if queues[name] != nil {
      let old = try queue(name, connection)
      try requireSame(old, declaration)
      use(old)
      return Answer(old, gate: broker.gate)
    }
    let arguments = try QueueArguments(declaration.arguments, queue: name)
    try QueueArguments.requireKnownStorage(declaration.arguments, queue: name)
    if name.hasPrefix("amq."), !declaration.name.isEmpty {
      throw .accessRefused("queue name '\(name)' contains reserved prefix 'amq.*'")
    }
    var named = declaration
    named.name = name
    let queue = try makeQueue(named, arguments, owner: declaration.isExclusive ? connection : nil)
    use(queue)
    return Answer(queue, gate: broker.gate)
  }

  /// Makes a queue of a name that nobody has.
  func makeQueue(
    _ declaration: QueueDeclaration, _ arguments: QueueArguments, owner: UInt64?
  ) throws(AMQPError) -> Queue {
    let name = declaration.name
    let group: Group
    do throws(BrokerStop) { group = try broker.makeQueue(virtualHost.queuePrefix + name.description) } catch {
      throw .stopped(error)
    }
    let queue = Queue(
      name, group, isDurable: declaration.isDurable, isAutoDelete: declaration.isAutoDelete, owner: owner, arguments)
    add(queue)
    if queue.isKept { keep(queue) }
    return queue
  }

  func add(_ queue: Queue) {
    queues[queue.name] = queue
    queueByGroup[queue.group.number] = queue
    if let owner = queue.owner { ownQueues[owner, default: [:]][queue.name] = queue }
  }

  /// What the names of queues begin with that the server has named.
  public static let madeNamePrefix: Text = "amq.gen-"

  private func madeName() -> Text {
    var number = broker.records.nextSequence
    while queues[Text("\(Self.madeNamePrefix)\(String(number, radix: 36))")] != nil { number += 1 }
    return Text("\(Self.madeNamePrefix)\(String(number, radix: 36))")
  }

  private func requireSame(_ old: Queue, _ declaration: QueueDeclaration) throws(AMQPError) {
    if declaration.isExclusive != (old.owner != nil) { throw .locked(old.name) }
    let same = Equivalence(subject: "queue '\(old.name)'")
    try same.require("durable", declaration.isDurable, old.isDurable)
    try same.require("auto_delete", declaration.isAutoDelete, old.isAutoDelete)
    try same.require(QueueArguments.compared, given: declaration.arguments, current: old.arguments.all)
  }

  /// All queues but those of direct replies, by name. O(queues × log queues).
  public var queuesInOrder: [Queue] {
    queues.values.filter { !$0.name.hasPrefix(DirectReply.tokenPrefix) }.sorted {
      $0.name.bytes.lexicographicallyPrecedes($1.name.bytes)
    }
  }

  /// The first `limit` queues by name of those that `isShown`. O(queues) for a small limit.
  public func firstQueues(_ limit: Int, where isShown: (Queue) -> Bool) -> [Queue] {
    queues.values.lazy.filter(isShown)
      .smallest(limit) { $0.name.bytes.lexicographicallyPrecedes($1.name.bytes) }
  }

  /// Messages that could be delivered now; what is due in this moment is counted out.
  public func messageCount(_ queue: Queue) -> Int {
    broker.enforceQueueRules()
    broker.serve(queue.group)
    return queue.group.readyCount
  }

  /// Drops the ready messages of a queue; gives how many.
  public func purge(_ name: Text, _ connection: UInt64) throws(AMQPError) -> Answer<Int> {
    let queue = try queue(name, connection)
    _ = messageCount(queue)
    do throws(BrokerStop) { return try broker.purge(queue.group) } catch { throw .stopped(error) }
  }

  /// Deletes a queue; gives how many ready messages it had. One that is not there had none.
  public func deleteQueue(
    _ name: Text, ifUnused: Bool, ifEmpty: Bool, _ connection: UInt64
  ) throws(AMQPError) -> Answer<Int> {
    guard queues[name] != nil else { return Answer(0, gate: broker.gate) }
    let queue = try queue(name, connection)
    let count = messageCount(queue)
    if ifEmpty, count > 0 { throw .preconditionFailed("queue '\(name)'", isInVirtualHost: true, " not empty") }
    if ifUnused, queue.consumerCount > 0 {
      throw .preconditionFailed("queue '\(name)'", isInVirtualHost: true, " in use")
    }
    do throws(BrokerStop) { try delete(queue) } catch { throw .stopped(error) }
    return Answer(count, gate: broker.gate)
  }

  func delete(_ queue: Queue) throws(BrokerStop) {
    try broker.deleteQueue(queue.group)
    queues[queue.name] = nil
    queueByGroup[queue.group.number] = nil
    if queue.isKept { broker.removeFromCatalog(catalogName(queue)) }
    if let owner = queue.owner { ownQueues[owner]?[queue.name] = nil }
    for binding in queue.bindings {
      remove(binding)
      dropIfLast(binding.exchange)
    }
    // They point back to it.
    queue.bindings = BindingList()
  }

  // MARK: In use or not

  /// Notes a declaration or a `get`: an expiring queue lives on from here.
  public func use(_ queue: Queue) {
    guard let expiresMs = queue.arguments.expiresMs else { return }
    if queue.consumerCount > 0 {
      broker.stopIdleTimer(queue.group)
    } else {
      broker.startIdleTimer(queue.group, afterMs: expiresMs)
    }
  }

  /// Adds a consumer to a queue.
  ///
  /// - Parameters:
  ///   - isExclusive: whether it is to be the only one.
  ///   - priority: consumers of a higher one are served first.
  /// - Throws: 403 when it wants to be the only one and is not, or another one is.
  public func consume(
    _ queue: Queue, sub: Int64, connection: UInt64, prefetch: Int, noAck: Bool, isExclusive: Bool = false,
    priority: Int32 = 0
  ) throws(AMQPError) -> Consumer {
    if queue.exclusiveConsumer != nil || isExclusive && queue.consumerCount > 0 { throw .inExclusiveUse(queue.name) }
    // What was published before belongs to those who were there, whatever their priority.
    broker.serve(queue.group)
    let options = queue.options(prefetch: prefetch, noAck: noAck, priority: priority)
    let consumer: Consumer
    do throws(BrokerStop) {
      consumer = try broker.consume(queue.group, sub: sub, connection: connection, options)
    } catch {
      throw .stopped(error)
    }
    queue.consumerCount += 1
    if isExclusive { queue.exclusiveConsumer = consumer }
    use(queue)
    return consumer
  }

  /// The fetching side of a connection, for `get`.
  public func getter(_ queue: Queue, connection: UInt64, noAck: Bool) throws(AMQPError) -> Consumer {
    use(queue)
    let options = queue.options(prefetch: 0, noAck: noAck)
    do throws(BrokerStop) { return try broker.getter(queue.group, connection: connection, options) } catch {
      throw .stopped(error)
    }
  }

  /// The queue that a consumer of the broker belongs to; nil when it was deleted.
  public func queue(of consumer: Consumer) -> Queue? { consumer.group.flatMap(queue(of:)) }

  func queue(of group: Group) -> Queue? { queueByGroup[group.number] }

  /// A consumer of a queue is gone: an auto-delete queue goes with its last one, an expiring one begins to.
  public func consumerLeft(_ queue: Queue, _ consumer: Consumer) {
    queue.consumerCount -= 1
    if queue.exclusiveConsumer === consumer { queue.exclusiveConsumer = nil }
    guard queue.consumerCount == 0, queues[queue.name] === queue else { return }
    if queue.isAutoDelete { try? delete(queue) } else { use(queue) }
  }

  /// A connection is gone, and its consumers before it: its own queues go with it.
  public func connectionEnded(_ connection: UInt64) {
    guard let own = ownQueues.removeValue(forKey: connection) else { return }
    for queue in own.values { try? delete(queue) }
  }

  /// Deletes the queues that nobody has used for as long as they say. Their messages are no dead letters. To be called when a
  /// turn has begun.
  public func deleteIdleQueues() {
    for group in broker.takeIdleQueues() { deleteIfIdle(group) }
  }

  func deleteIfIdle(_ group: Group) {
    guard let queue = queueByGroup[group.number], queue.consumerCount == 0 else { return }
    try? delete(queue)
  }

  /// Whether a queue or relay of the broker is this host's.
  func owns(_ group: Group) -> Bool { queueByGroup[group.number] != nil || exchangeByRelay[group.number] != nil }
}
