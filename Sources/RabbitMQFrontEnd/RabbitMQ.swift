// The RabbitMQ front end: exchanges, queues and bindings in memory, kept in the broker's catalog as far as they are durable;
// messages in the broker's queues.
//
// Holds: every queue stands on one queue of the broker, and the other way round for those of our prefix; the catalog has a
// line for each durable exchange, durable queue, and binding between two of them.
// Leaves to others: connections, tags and JSON lines (the server), messages, time and disk (the broker).

import Broker
import LineProtocol
import Primitives

/// The front end's tables.
public final class RabbitMQ {
  let broker: Broker
  /// Whose tables these are.
  public let virtualHost: VirtualHost
  var exchanges: [Text: Exchange] = [:] { didSet { knownRoutes.forget() } }
  var queues: [Text: Queue] = [:] { didSet { knownRoutes.forget() } }
  var queueByGroup: [UInt32: Queue] = [:]
  /// The exchanges that delay, by the groups of their relays.
  var exchangeByRelay: [UInt32: Exchange] = [:]
  /// Native topics that bindings lead to, or led to.
  var boundTopics: [Text: BoundTopic] = [:]
  /// Told of messages that were dropped because the exchange in which they were pending went, in words for people.
  public var noteDropped: ((String) -> Void)?
  var nextBinding = 1
  var bindingCount = 0 { didSet { knownRoutes.forget() } }
  @exclusivity(unchecked) var knownRoutes = KnownRoutes()
  /// The headers of the record that `publishDirectly` is about to write.
  @exclusivity(unchecked) var directHeaders = ByteBuffer()
  /// Properties with a header more, while they are shown.
  @exclusivity(unchecked) var shownProperties = ByteBuffer()
  /// The queues that belong to one connection alone, by its key.
  var ownQueues: [UInt64: [Text: Queue]] = [:]
  private let exchangesMax: Int
  private let bindingsMax: Int
  var routings: UInt64 = 0
  let reader = RequestReader()

  /// The tables of a virtual host; `restore` follows.
  ///
  /// - Parameters:
  ///   - exchangesMax: no more exchanges are declared.
  ///   - bindingsMax: no more bindings are made.
  public init(
    _ broker: Broker, _ virtualHost: VirtualHost = .standard, exchangesMax: Int = 100_000, bindingsMax: Int = 1_000_000
  ) {
    self.broker = broker
    self.virtualHost = virtualHost
    self.exchangesMax = exchangesMax
    self.bindingsMax = bindingsMax
    exchanges[""] = Exchange("", .direct, isDurable: true)
    for kind in ExchangeKind.allCases where kind != .delayed {
      let name = Text("amq.\(kind.rawValue)")
      exchanges[name] = Exchange(name, kind, isDurable: true)
    }
    exchanges["amq.match"] = Exchange("amq.match", .headers, isDurable: true)
    broker.deadLetterRouter = self
  }

  // MARK: Finding

  /// The queue of this name, for a connection.
  ///
  /// - Throws: 404; 405 when it is another connection's own.
  public func queue(_ name: Text, _ connection: UInt64) throws(AMQPError) -> Queue {
    guard let queue = queues[name] else { throw .notFound("no queue '\(name)'", isInVirtualHost: true) }
    try requireAccess(queue, connection)
    return queue
  }

  func requireAccess(_ queue: Queue, _ connection: UInt64) throws(AMQPError) {
    if let owner = queue.owner, owner != connection { throw .locked(queue.name) }
  }

  func exchange(_ name: Text) throws(AMQPError) -> Exchange {
    guard let exchange = exchanges[name] else { throw .notFound("no exchange '\(name)'", isInVirtualHost: true) }
    return exchange
  }

  // MARK: Exchanges

  /// What an exchange is declared to be.
  public struct ExchangeDeclaration {
    var name: Text
    var kind: ExchangeKind
    var isDurable: Bool
    var isAutoDelete: Bool
    var isInternal: Bool
    var arguments: [JSONTree.Member]

    /// Puts a declaration together.
    public init(
      name: Text, kind: ExchangeKind, isDurable: Bool, isAutoDelete: Bool, isInternal: Bool,
      arguments: [JSONTree.Member]
    ) {
      self.name = name
      self.kind = kind
      self.isDurable = isDurable
      self.isAutoDelete = isAutoDelete
      self.isInternal = isInternal
      self.arguments = arguments
    }
  }

  /// Checks that an exchange is there.
  public func checkExchange(_ name: Text) throws(AMQPError) -> Gate {
    if name.isEmpty { throw Self.isDefaultExchange }
    _ = try exchange(name)
    return broker.gate
  }

  private static let isDefaultExchange = AMQPError.accessRefused("operation not permitted on the default exchange")

  /// Declares an exchange; one that is there must be the same.
  public func declare(_ declaration: ExchangeDeclaration) throws(AMQPError) -> Gate {
    let name = declaration.name
    if name.isEmpty { throw Self.isDefaultExchange }
    if let alternate = declaration.arguments.first(where: { $0.key == "alternate-exchange" }),
      alternate.value.text == nil
    {
      throw .preconditionFailed(
        "invalid type '\(alternate.value.typeName)' for arg 'alternate-exchange' in exchange '\(name)'",
        isInVirtualHost: true)
    }
    if declaration.kind == .delayed, Exchange.delayedKind(declaration.arguments) == nil {
      throw .preconditionFailed(
        "invalid arg 'x-delayed-type' for exchange '\(name)': it must be direct, topic, fanout or headers")
    }
    let new = Exchange(
      name, declaration.kind, isDurable: declaration.isDurable, isAutoDelete: declaration.isAutoDelete,
      isInternal: declaration.isInternal, declaration.arguments)
    if let old = exchanges[name] {
      try requireSame(old, new)
      return broker.gate
    }
    if new.isPredeclared { throw .accessRefused("exchange name '\(name)' contains reserved prefix 'amq.*'") }
    guard exchanges.count < exchangesMax else { throw .limitExceeded("exchanges", exchangesMax) }
    if new.kind == .delayed { try makeRelay(new) }
    exchanges[name] = new
    if new.isDurable { keep(new) }
    return broker.gate
  }

  private func requireSame(_ old: Exchange, _ new: Exchange) throws(AMQPError) {
    let same = Equivalence(subject: "exchange '\(old.name)'")
    try same.require("type", new.kind.rawValue, old.kind.rawValue)
    try same.require("durable", new.isDurable, old.isDurable)
    try same.require("auto_delete", new.isAutoDelete, old.isAutoDelete)
    try same.require("internal", new.isInternal, old.isInternal)
    try same.require(["alternate-exchange"], given: new.arguments, current: old.arguments)
  }

  /// Deletes an exchange with its bindings and what is pending in it; nothing happens when it is not there.
  public func deleteExchange(_ name: Text, ifUnused: Bool) throws(AMQPError) -> Gate {
    if name.isEmpty { throw Self.isDefaultExchange }
    if name.hasPrefix("amq.") {
      throw .accessRefused("deletion of system exchange '\(name)'", isInVirtualHost: true, " not allowed")
    }
    guard let exchange = exchanges[name] else { return broker.gate }
    if ifUnused, !exchange.bindings.isEmpty || exchange.pendingCount > 0 {
      throw .preconditionFailed("exchange '\(name)'", isInVirtualHost: true, " in use")
    }
    for binding in exchange.bindings { remove(binding) }
    drop(exchange)
    return broker.gate
  }

  /// Takes an exchange away that nothing leads from any more, with the bindings that lead to it. Exchanges that go by it are
  /// dropped one after the other: they may be a long row.
  func drop(_ exchange: Exchange) {
    var going = [exchange]
    while let exchange = going.popLast() {
      guard exchanges[exchange.name] === exchange else { continue }
      exchanges[exchange.name] = nil
      if exchange.isDurable { broker.removeFromCatalog(catalogName(exchange)) }
      dropRelay(exchange)
      for binding in exchange.incoming {
        remove(binding)
        if isDropped(binding.exchange) { going.append(binding.exchange) }
      }
      // They point back to it.
      exchange.incoming = BindingList()
    }
  }

  // MARK: Bindings

  /// Binds a queue to an exchange; the same binding again changes nothing.
  public func bind(
    _ queueName: Text, _ exchangeName: Text, _ key: Text, _ arguments: [JSONTree.Member], _ connection: UInt64
  ) throws(AMQPError) -> Gate {
    if exchangeName.isEmpty { throw Self.isDefaultExchange }
    let exchange = try exchange(exchangeName)
    return try bind(.queue(try queue(queueName, connection)), exchange, key, arguments)
  }

  /// Binds an exchange to another one, the source, whose messages it gets from here on; the same binding again changes
  /// nothing. With the argument `x-destination-type` the destination is a native topic.
  public func bindExchange(
    _ destinationName: Text, to sourceName: Text, _ key: Text, _ arguments: [JSONTree.Member]
  ) throws(AMQPError) -> Gate {
    if sourceName.isEmpty || destinationName.isEmpty { throw Self.isDefaultExchange }
    let source = try exchange(sourceName)
    if try Self.leadsToTopic(arguments) {
      return try bind(.topic(try useTopic(destinationName)), source, key, arguments)
    }
    return try bind(.exchange(try exchange(destinationName)), source, key, arguments)
  }

  private func bind(
    _ destination: BindingDestination, _ exchange: Exchange, _ key: Text, _ arguments: [JSONTree.Member]
  ) throws(AMQPError) -> Gate {
    if exchange.binding(destination, key, arguments) != nil { return broker.gate }
    guard bindingCount < bindingsMax else { throw .limitExceeded("bindings", bindingsMax) }
    var match: HeaderMatch?
    if exchange.routing == .headers {
      match = HeaderMatch(arguments)
      guard match != nil else {
        throw .preconditionFailed("invalid x-match; expected all, any, all-with-x or any-with-x")
      }
    }
    let binding = Binding(exchange, destination, key, arguments, match)
    add(binding)
    if exchange.isDurable, destination.isKept { keep(binding) }
    return broker.gate
  }

  func add(_ binding: Binding) {
    bindingCount += 1
    binding.exchange.add(binding)
    binding.destination.add(binding)
  }

  /// Takes a binding away; nothing happens when it is not there, or its queue or exchange is not.
  public func unbind(
    _ queueName: Text, _ exchangeName: Text, _ key: Text, _ arguments: [JSONTree.Member], _ connection: UInt64
  ) throws(AMQPError) -> Gate {
    if exchangeName.isEmpty { throw Self.isDefaultExchange }
    guard let queue = queues[queueName],
      let binding = exchanges[exchangeName]?.binding(.queue(queue), key, arguments)
    else { return broker.gate }
    try requireAccess(queue, connection)
    return unbind(binding)
  }

  /// Takes a binding between two exchanges away; nothing happens when it is not there, or one of them is not.
  public func unbindExchange(
    _ destinationName: Text, from sourceName: Text, _ key: Text, _ arguments: [JSONTree.Member]
  ) throws(AMQPError) -> Gate {
    if sourceName.isEmpty || destinationName.isEmpty { throw Self.isDefaultExchange }
    let destination: BindingDestination? =
      try Self.leadsToTopic(arguments)
      ? boundTopics[destinationName].map { .topic($0) } : exchanges[destinationName].map { .exchange($0) }
    guard let destination, let binding = exchanges[sourceName]?.binding(destination, key, arguments) else {
      return broker.gate
    }
    return unbind(binding)
  }

  private func unbind(_ binding: Binding) -> Gate {
    remove(binding)
    dropIfLast(binding.exchange)
    return broker.gate
  }

  func remove(_ binding: Binding) {
    binding.isGone = true
    bindingCount -= 1
    binding.exchange.remove(binding)
    binding.destination.noteGone()
    if let name = binding.catalogName { broker.removeFromCatalog(name) }
  }

  /// An auto-delete exchange goes with its last binding.
  func dropIfLast(_ exchange: Exchange) {
    if isDropped(exchange) { drop(exchange) }
  }

  private func isDropped(_ exchange: Exchange) -> Bool { exchange.isAutoDelete && exchange.bindings.isEmpty }
}
