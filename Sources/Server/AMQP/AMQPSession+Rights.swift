// What the client of an AMQP session may do, method by method, as in the operations `rabbitmq.*` of the line protocol; and what
// ends when it may no more.

import AMQPProtocol
import Access
import Broker
import Primitives
import RabbitMQFrontEnd

extension AMQPSession {
  var rights: Rights { Rights(services, identity) }

  /// Asks for rights, and turns one that is missing into a refusal.
  func allowed(_ method: Method, _ body: (Rights) throws(MissingRight) -> Void) throws(AMQPFault) {
    guard services.admission.asksWho else { return }
    do throws(MissingRight) { try body(rights) } catch {
      let thing =
        error.thing.map { "\($0.kind.rawValue) '\($0.name)' in vhost '\(rabbitMQ.virtualHost.name)'" } ?? "all names"
      throw AMQPFault(
        .accessRefused, "\(error.right.rawValue) access to \(thing) refused for user '\(user)'", method: method)
    }
  }

  /// The right on a queue; the empty name means the last one that was declared on the channel.
  func allowed(
    _ right: Right, queue name: Text, _ channel: AMQPChannel, _ method: Method
  ) throws(AMQPFault) {
    try allowed(method) { rights throws(MissingRight) in
      try rights.require(right, queue: name.isEmpty ? channel.operations.lastDeclaredQueue : name)
    }
  }

  /// Bindings let messages of an exchange into a queue, or into another exchange.
  func allowedToBind(
    queue name: Text, to exchange: Text, _ channel: AMQPChannel, _ method: Method
  ) throws(AMQPFault) {
    try allowed(.admin, queue: name, channel, method)
    try allowed(method) { rights throws(MissingRight) in try rights.require(.consume, exchange: exchange) }
  }

  func allowedToBind(
    _ destination: Text, to source: Text, _ arguments: [JSONTree.Member], _ method: Method
  ) throws(AMQPFault) {
    let isTopic = try asking(method) { () throws(AMQPError) in try RabbitMQ.leadsToTopic(arguments) }
    try allowed(method) { rights throws(MissingRight) in
      try rights.requireForBinding(destination, isTopic: isTopic, source: source)
    }
  }

  func allowedToPublish(_ message: AMQPMessage) throws(AMQPFault) {
    // The usual cases, without making anything.
    if message.exchange.count > 0 {
      if rights.allows(.schedule, .exchange, message.exchange) { return }
    } else if !message.hasKeysInHeaders, rights.allows(.schedule, .queue, message.routingKey) {
      return
    }
    try allowed(.basicPublish) { rights throws(MissingRight) in try rights.checkTargets(of: message.publication) }
  }

  // MARK: Rights that are taken away

  func accessChanged(_ renewed: (Identity) -> Identity?) -> Bool {
    // Who has not logged in yet will be looked for in the new file.
    guard let old = identity else { return true }
    identity = renewed(old)
    guard identity != nil else { return false }
    for (sub, subscription) in subscriptions.sorted(by: { $0.key < $1.key }) where !mayConsume(subscription.consumer) {
      subscriptions[sub] = nil
      let channel = subscription.channel
      guard let tag = channel.operations.tag(of: subscription.consumer) else { continue }
      output.hold(until: channel.operations.cancel(tag, show: { _, _ in }).gate)
      sayCancelled(tag, channel)
    }
    return true
  }

  private func mayConsume(_ consumer: Consumer) -> Bool {
    guard let queue = rabbitMQ.queue(of: consumer), !DirectReply.isName(queue.name) else { return true }
    return queue.name.bytes.withBytes { rights.allows(.consume, .queue, $0) }
  }
}
