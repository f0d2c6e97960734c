// Durable declarations in the broker's catalog, and the tables made from them at a start.
//
// Names: `rabbitmq/exchange/<name>`, `rabbitmq/queue/<name>`, `rabbitmq/binding/<number>`; values: JSON objects with the
// fields of the declaring request.

import Broker
import LineProtocol

extension RabbitMQ {
  private static let exchangePrefix = "rabbitmq/exchange/"
  private static let bindingPrefix = "rabbitmq/binding/"

  static func catalogName(_ exchange: Exchange) -> String { exchangePrefix + exchange.name.description }
  static func catalogName(_ queue: Queue) -> String { Queue.topicPrefix + queue.name.description }

  func keep(_ exchange: Exchange) {
    var out = ByteBuffer()
    out.append("{\"type\":\"")
    out.append(text: exchange.kind.rawValue)
    out.append("\",\"autoDelete\":")
    out.appendBoolean(exchange.isAutoDelete)
    out.append(",\"internal\":")
    out.appendBoolean(exchange.isInternal)
    writeArguments(exchange.arguments, &out)
    broker.putInCatalog(Self.catalogName(exchange), Array(out.readable))
  }

  func keep(_ queue: Queue) {
    var out = ByteBuffer()
    out.append("{\"autoDelete\":")
    out.appendBoolean(queue.isAutoDelete)
    writeArguments(queue.arguments.all, &out)
    broker.putInCatalog(Self.catalogName(queue), Array(out.readable))
  }

  func keep(_ binding: Binding) {
    var out = ByteBuffer()
    out.append("{\"exchange\":")
    binding.exchange.name.write(to: &out)
    out.append(",\"queue\":")
    binding.queue.name.write(to: &out)
    out.append(",\"routingKey\":")
    binding.key.write(to: &out)
    writeArguments(binding.arguments, &out)
    let name = Self.bindingPrefix + String(nextBinding)
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
    for (name, value) in broker.catalog where name.hasPrefix(Self.exchangePrefix) {
      read(value) { () throws(Refusal) in
        try self.restoreExchange(Text(name.utf8.dropFirst(Self.exchangePrefix.utf8.count)))
      }
    }
    for group in broker.queues where group.topic.name.hasPrefix(Queue.topicPrefix) {
      guard let value = broker.catalog[group.topic.name] else {
        try? broker.deleteQueue(group)
        continue
      }
      read(value) { () throws(Refusal) in try self.restoreQueue(group) }
      broker.restore(group, drain: drain)
    }
    // In the order in which they were made: fanout goes by it.
    let bindings = broker.catalog.keys.filter { $0.hasPrefix(Self.bindingPrefix) }
    for number in bindings.compactMap({ Int($0.dropFirst(Self.bindingPrefix.count)) }).sorted() {
      let name = Self.bindingPrefix + String(number)
      nextBinding = number + 1
      guard let value = broker.catalog[name] else { continue }
      read(value) { () throws(Refusal) in try self.restoreBinding(name) }
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
    exchanges[name] = Exchange(
      name, kind, isDurable: true, isAutoDelete: try reader.boolean(.autoDelete) ?? false,
      isInternal: try reader.boolean(.internal) ?? false, try arguments())
  }

  private func restoreQueue(_ group: Group) throws(Refusal) {
    let name = Text(group.topic.nameBytes.dropFirst(Queue.topicPrefix.utf8.count))
    guard let arguments = try? QueueArguments(try arguments(), queue: name) else { return }
    let queue = Queue(
      name, group, isDurable: true, isAutoDelete: try reader.boolean(.autoDelete) ?? false, owner: nil, arguments)
    add(queue)
    use(queue)
  }

  private func restoreBinding(_ name: String) throws(Refusal) {
    guard let queueName = try reader.string(.queue), let queue = queues[Text(queueName)],
      let exchangeName = try reader.string(.exchange), let exchange = exchanges[Text(exchangeName)],
      let key = try reader.string(.routingKey)
    else { return }
    let arguments = try arguments()
    let binding = Binding(
      exchange, queue, Text(key), arguments, exchange.kind == .headers ? HeaderMatch(arguments) : nil)
    binding.catalogName = name
    add(binding)
  }
}
