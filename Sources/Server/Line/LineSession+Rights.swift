// What the client of a line session may do, and what ends when it may no more.

import Access
import Broker
import LineProtocol
import Primitives
import RabbitMQFrontEnd

extension LineSession {
  /// - Throws: `forbidden`, saying which right is missing.
  func check(_ permission: Permission, _ request: Request) throws(RequestStop) {
    guard services.admission.asksWho else { return }
    switch permission {
    case .anybody, .known: return
    case .everything(let right): try requireEverywhere(right)
    case .needs(let needs):
      for need in needs { try check(need, request) }
    }
  }

  private func check(_ need: Need, _ request: Request) throws(RequestStop) {
    guard let name = try request.string(need.field) else { return }
    try asking { rights throws(MissingRight) in
      switch need.kind {
      case .queue: try rights.require(need.right, queue: name.isEmpty ? channel?.lastDeclaredQueue : Text(name))
      case .exchange: try rights.require(need.right, exchange: Text(name))
      case .topic, .group: try rights.require(need.right, need.kind, name)
      }
    }
  }

  /// Asks for rights, and turns one that is missing into a refusal.
  func asking(_ body: (Rights) throws(MissingRight) -> Void) throws(RequestStop) {
    do throws(MissingRight) { try body(Rights(services, identity)) } catch {
      throw .refused(Refusal(code: .forbidden, message: "this takes the right \(error.text)"))
    }
  }

  func requireEverywhere(_ right: Right) throws(RequestStop) {
    try asking { rights throws(MissingRight) in try rights.requireEverywhere(right) }
  }

  func require(_ right: Right, _ kind: ResourceKind, _ name: UnsafeRawBufferPointer) throws(RequestStop) {
    try asking { rights throws(MissingRight) in try rights.require(right, kind, name) }
  }

  func allows(_ right: Right, _ kind: ResourceKind, _ name: UnsafeRawBufferPointer) -> Bool {
    Rights(services, identity).allows(right, kind, name)
  }

  func allows(_ right: Right, _ kind: ResourceKind, _ name: String) -> Bool {
    name.withBytes { allows(right, kind, $0) }
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
