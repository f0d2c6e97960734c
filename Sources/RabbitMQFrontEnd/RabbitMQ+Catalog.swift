// Durable declarations in the broker's catalog, and the tables made from them at a start.
//
// Names: as `VirtualHost` says; values: JSON objects with the fields of the declaring request. A binding of an exchange has
// `destination`, and one of a native topic `topic`, where one of a queue has `queue`.

import Broker
import LineProtocol
import Primitives

extension RabbitMQ {
  private var exchangePrefix: [UInt8] { Array(virtualHost.exchangePrefix.utf8) }
  private var queuePrefix: [UInt8] { Array(virtualHost.queuePrefix.utf8) }
  private var bindingPrefix: [UInt8] { Array(virtualHost.bindingPrefix.utf8) }

  func catalogName(_ exchange: Exchange) -> [UInt8] { exchangePrefix + exchange.name.bytes }
  func catalogName(_ queue: Queue) -> [UInt8] { queuePrefix + queue.name.bytes }
  private func bindingName(_ number: Int) -> [UInt8] { bindingPrefix + String(number).utf8 }

  func keep(_ exchange: Exchange) {
    var out = ByteBuffer()
    out.append("{\"type\":\"")
    out.append(text: exchange.kind.rawValue)
    out.append("\",\"autoDelete\":")
    out.appendBoolean(exchange.isAutoDelete)
    out.append(",\"internal\":")
    out.appendBoolean(exchange.isInternal)
    writeArguments(exchange.arguments, &out)
    broker.putInCatalog(catalogName(exchange), Array(out.readable))
  }

  func keep(_ queue: Queue) {
    var out = ByteBuffer()
    out.append("{\"autoDelete\":")
    out.appendBoolean(queue.isAutoDelete)
    writeArguments(queue.arguments.all, &out)
    broker.putInCatalog(catalogName(queue), Array(out.readable))
  }

  func keep(_ binding: Binding) {
    var out = ByteBuffer()
    out.append("{\"exchange\":")
    binding.exchange.name.write(to: &out)
    switch binding.destination {
    case .queue(let queue):
      out.append(",\"queue\":")
      queue.name.write(to: &out)
    case .exchange(let exchange):
      out.append(",\"destination\":")
      exchange.name.write(to: &out)
    case .topic(let topic):
      out.append(",\"topic\":")
      topic.name.write(to: &out)
    }
    out.append(",\"routingKey\":")
    binding.key.write(to: &out)
    writeArguments(binding.arguments, &out)
    let name = bindingName(nextBinding)
    nextBinding += 1
    binding.catalogName = name
    broker.putInCatalog(name, Array(out.readable))
  }

  private func writeArguments(_ arguments: [JSONTree.Member], _ out: inout ByteBuffer) {
    out.append(",\"arguments\":")
    JSONTree.object(arguments).write(to: &out)
    out.append("}")
  }

  // MARK: At a start

  /// Makes the tables from the catalog; deletes queues that were not durable and ends messages that were not persistent.
  ///
  /// - Parameter drain: does the disk work that was submitted.
  public func restore(drain: () -> Void) {
    let (exchangePrefix, queuePrefix) = (self.exchangePrefix, self.queuePrefix)
    for (name, value) in broker.catalog.entries where name.starts(with: exchangePrefix) {
      read(value) { () throws(Refusal) in
        try self.restoreExchange(Text(name.dropFirst(exchangePrefix.count)))
      }
    }
    dropLostRelays()
    for group in broker.allQueues where group.topic.nameBytes.starts(with: queuePrefix) {
      guard let value = broker.catalog[group.topic.nameBytes] else {
        try? broker.deleteQueue(group)
        continue
      }
      read(value) { () throws(Refusal) in try self.restoreQueue(group) }
      broker.restore(group, drain: drain)
    }
    restoreBindings()
    forgetLostQueues()
  }

  /// In the order in which they were made: fanout goes by it.
  private func restoreBindings() {
    let bindingPrefix = self.bindingPrefix
    let bindings = broker.catalog.entries.keys.filter { $0.starts(with: bindingPrefix) }
    let numbers = bindings.compactMap { Int(String(decoding: $0.dropFirst(bindingPrefix.count), as: UTF8.self)) }
    for number in numbers.sorted() {
      let name = bindingName(number)
      nextBinding = number + 1
      guard let value = broker.catalog[name] else { continue }
      var isRestored = false
      read(value) { () throws(Refusal) in isRestored = try self.restoreBinding(name) }
      // Power failed while one of its ends was deleted. Left there, it would bind a later queue of that name.
      if !isRestored { broker.removeFromCatalog(name) }
    }
  }

  /// Power failed between the end of a queue and that of its declaration. Left there, it would make a later queue of that
  /// name durable.
  private func forgetLostQueues() {
    let queuePrefix = self.queuePrefix
    for name in broker.catalog.entries.keys where name.starts(with: queuePrefix) {
      if broker.findQueue(String(decoding: name, as: UTF8.self)) == nil { broker.removeFromCatalog(name) }
    }
  }

  private func read(_ value: [UInt8], _ body: () throws(Refusal) -> Void) {
    value.withUnsafeBytes { bytes in
      do throws(Refusal) {
        try reader.parse(bytes)
        try body()
      } catch {
        preconditionFailure("the catalog holds what was never put there: \(error)")
      }
    }
  }

  private func arguments() throws(Refusal) -> [JSONTree.Member] {
    try reader.object(.arguments).map { JSONTree.members($0) } ?? []
  }

  private func restoreExchange(_ name: Text) throws(Refusal) {
    let kind = ExchangeKind(rawValue: try reader.text(.type) ?? "") ?? .direct
    let exchange = Exchange(
      name, kind, isDurable: true, isAutoDelete: try reader.boolean(.autoDelete) ?? false,
      isInternal: try reader.boolean(.internal) ?? false, try arguments())
    exchanges[name] = exchange
    restoreRelay(exchange)
  }

  private func restoreQueue(_ group: Group) throws(Refusal) {
    let name = Text(group.topic.nameBytes.dropFirst(queuePrefix.count))
    guard let arguments = try? QueueArguments(try arguments(), queue: name) else { return }
    let queue = Queue(
      name, group, isDurable: true, isAutoDelete: try reader.boolean(.autoDelete) ?? false, owner: nil, arguments)
    add(queue)
    use(queue)
  }

  /// False when one of its ends is not there.
  private func restoreBinding(_ name: [UInt8]) throws(Refusal) -> Bool {
    guard let destination = try restoredDestination(), let exchangeName = try reader.string(.exchange),
      let exchange = exchanges[Text(exchangeName)],
      let key = try reader.string(.routingKey)
    else { return false }
    let arguments = try arguments()
    let binding = Binding(
      exchange, destination, Text(key), arguments, exchange.routing == .headers ? HeaderMatch(arguments) : nil)
    binding.catalogName = name
    add(binding)
    return true
  }

  private func restoredDestination() throws(Refusal) -> BindingDestination? {
    if let name = try reader.string(.destination) { return exchanges[Text(name)].map { .exchange($0) } }
    if let name = try reader.string(.topic) { return .topic(boundTopic(Text(name))) }
    return try reader.string(.queue).flatMap { queues[Text($0)] }.map { .queue($0) }
  }
}
