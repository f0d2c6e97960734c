// What the client of a line session may do, and what ends when it may no more.

import Access
import Broker
import LineProtocol
import Primitives
import RabbitMQFrontEnd

extension LineSession {
  /// - Throws: `forbidden`, saying which right is missing.
  func check(_ permission: Permission, _ request: Request) throws(RequestStop) {
    guard services.asksWho else { return }
    switch permission {
    case .anybody, .known: return
    case .everything(let right): try requireEverywhere(right)
    case .needs(let needs):
      for need in needs { try check(need, request) }
    }
  }

  private func check(_ need: Need, _ request: Request) throws(RequestStop) {
    guard let name = try request.string(need.field) else { return }
    guard name.isEmpty else { return try require(need.right, need.kind, name) }
    switch need.kind {
    // The queue that was declared last; when there is none, there is nothing to protect.
    case .queue: if let last = channel?.lastDeclaredQueue { try require(need.right, .queue, last) }
    // The default exchange has no name; where its messages go is asked by whoever puts them there.
    case .exchange: return
    case .topic, .group: try require(need.right, need.kind, name)
    }
  }

  func requireEverywhere(_ right: Right) throws(RequestStop) {
    guard services.asksWho, identity?.allowsEverywhere(right) != true else { return }
    let text = "this takes the right '\(right.rawValue):*'"
    throw .refused(Refusal(code: .forbidden, message: text))
  }

  func require(_ right: Right, _ kind: ResourceKind, _ name: UnsafeRawBufferPointer) throws(RequestStop) {
    if allows(right, kind, name) { return }
    let name = String(decoding: name.prefix(128), as: UTF8.self)
    let text = "this takes the right '\(right.rawValue)' on the \(kind.rawValue) '\(name)'"
    throw .refused(Refusal(code: .forbidden, message: text))
  }

  func require(_ right: Right, _ kind: ResourceKind, _ name: Text) throws(RequestStop) {
    try name.bytes.withBytes { (name) throws(RequestStop) in try require(right, kind, name) }
  }

  func allows(_ right: Right, _ kind: ResourceKind, _ name: UnsafeRawBufferPointer) -> Bool {
    !services.asksWho || identity?.allows(right, kind, name) == true
  }

  func allows(_ right: Right, _ kind: ResourceKind, _ name: String) -> Bool {
    name.withBytes { allows(right, kind, $0) }
  }

  // MARK: RabbitMQ

  /// What publishing takes: the right to schedule on the exchange; on the queues when it is the one without a name.
  func checkTargets(of publication: Publication) throws(RequestStop) {
    guard services.asksWho, publication.exchange.isEmpty else { return }
    for queue in publication.routingKeys { try require(.schedule, .queue, queue) }
  }

  /// Whoever names an exchange for dead letters, or for what finds no queue, must be allowed to put messages there itself.
  func checkContinuation(_ arguments: [JSONTree.Member]) throws(RequestStop) {
    guard services.asksWho else { return }
    func text(_ name: Text) -> Text? {
      guard let member = arguments.first(where: { $0.key == name }), case .string(let text) = member.value else {
        return nil
      }
      return text
    }
    if let alternate = text("alternate-exchange") { try require(.schedule, .exchange, alternate) }
    guard let exchange = text("x-dead-letter-exchange") else { return }
    if !exchange.isEmpty { return try require(.schedule, .exchange, exchange) }
    guard let queue = text("x-dead-letter-routing-key") else { return try requireEverywhere(.schedule) }
    try require(.schedule, .queue, queue)
  }

  // MARK: Rights that are taken away

  func accessChanged(_ renewed: (Identity) -> Identity?) -> Bool {
    guard let old = identity else { return true }
    identity = renewed(old)
    for consumer in consumers.values.sorted(by: { $0.sub < $1.sub }) where !mayConsume(consumer) { takeAway(consumer) }
    for fetcher in fetchers where !mayConsume(fetcher) { takeAway(fetcher: fetcher) }
    if identity == nil {
      strangerSinceMs = broker.nowMs
      setNextWakeUp()
    }
    return true
  }

  private func mayConsume(_ consumer: Consumer) -> Bool {
    if let queue = services.rabbitMQ.queue(of: consumer) {
      return queue.name.bytes.withBytes { allows(.consume, .queue, $0) }
    }
    guard allows(.consume, .topic, consumer.topic.name) else { return false }
    return consumer.group.map { allows(.consume, .group, $0.name) } ?? true
  }

  private func takeAway(_ consumer: Consumer) {
    consumers[consumer.sub] = nil
    if consumer.topic.isQueue {
      guard let tag = channel?.tag(of: consumer) else { return }
      if let answer = channel?.cancel(tag, show: { _, _ in }) { hold(until: answer.gate) }
      EventWriter.cancelled(tag, to: &out)
    } else {
      broker.remove(consumer)
      rocketMQSession?.remove(sub: consumer.sub)
      EventWriter.ended(consumer, reason: "forbidden", to: &out)
    }
  }

  private func takeAway(fetcher: Consumer) {
    fetchers.removeAll { $0 === fetcher }
    broker.remove(fetcher)
    let text = "the right to consume was taken away"
    for (token, fetch) in waiting.sorted(by: { $0.key < $1.key }) where fetch.consumer === fetcher {
      waiting[token] = nil
      if blockingFetch == token { blockingFetch = nil }
      fetch.withRid { writeRefusal(Refusal(code: .forbidden, message: text), rid: $0) }
    }
  }
}
