// Acknowledging, refusing and giving back deliveries.
//
// On a transactional channel they are taken out at once, so that nobody can name them again, and wait for the commit.

import Broker
import Primitives

/// A delivery that waits for an acknowledgement.
struct Unacknowledged {
  let group: Group
  let offset: TopicOffset
  /// Whether it would come again after a restart: then its end is to be durable before it is answered.
  let isPersistent: Bool
  /// When it has been kept for too long; `.max` for never.
  let timesOutMs: UnixMs
}

/// What a client says of a delivery.
enum Verdict: Equatable {
  case acknowledged
  /// Back to its place.
  case requeued(GiveBack)
  /// To the dead letters.
  case rejected

  /// Whether the message goes back to its place. A crash would put it there, too.
  var goesBack: Bool { if case .requeued = self { true } else { false } }
}

extension RabbitMQChannel {
  /// Ends a delivery, or with `multiple` all up to this tag (tag 0: all).
  ///
  /// - Throws: 406 for an unknown tag.
  public func acknowledge(_ tag: UInt64, multiple: Bool) throws(AMQPError) -> Gate {
    try judge(tag, multiple: multiple, .acknowledged)
  }

  /// Refuses a delivery, or with `multiple` all up to this tag (tag 0: all): back to its place, or to the dead letters.
  ///
  /// - Throws: 406 for an unknown tag.
  public func refuse(_ tag: UInt64, multiple: Bool, requeue: Bool) throws(AMQPError) -> Gate {
    try judge(tag, multiple: multiple, requeue ? .requeued(.refused) : .rejected)
  }

  /// Gives everything unacknowledged back to its place, to be delivered anew.
  public func recover() throws(AMQPError) {
    try requireWorking()
    giveBackAll(.recovered)
    removeEndedConsumers()
  }

  func requireWorking() throws(AMQPError) {
    do throws(BrokerStop) { try broker.requireWorking() } catch { throw .stopped(error) }
  }

  func giveBackAll(_ way: GiveBack) {
    let open = unacknowledged.removeAll(through: unacknowledged.lastTag)
    try? carryOut(.requeued(way), open.map(\.delivery))
  }

  @inline(__always)
  private func judge(_ tag: UInt64, multiple: Bool, _ verdict: Verdict) throws(AMQPError) -> Gate {
    try requireWorking()
    if multiple { return try judgeAll(upTo: tag, verdict) }
    guard let delivery = unacknowledged.remove(tag) else { throw .unknownDeliveryTag(tag) }
    if transaction != nil {
      transaction!.hold(tag, delivery, verdict)
      return .open
    }
    if verdict == .acknowledged, delivery.group.topic.isAlive {
      // The usual case, without lists.
      do throws(BrokerStop) { _ = try broker.acknowledge(delivery.group, .one(delivery.offset)) } catch {
        throw .stopped(error)
      }
    } else {
      try carryOut(verdict, [delivery])
    }
    removeEndedConsumers()
    return delivery.isPersistent && !verdict.goesBack ? .endOfTurn : .open
  }

  private func judgeAll(upTo tag: UInt64, _ verdict: Verdict) throws(AMQPError) -> Gate {
    let last = tag == 0 ? unacknowledged.lastTag : tag
    guard last <= unacknowledged.lastTag else { throw .unknownDeliveryTag(tag) }
    let taken = unacknowledged.removeAll(through: last)
    if taken.isEmpty, tag != 0 { throw .unknownDeliveryTag(tag) }
    if transaction != nil {
      for (tag, delivery) in taken { transaction!.hold(tag, delivery, verdict) }
      return .open
    }
    let deliveries = taken.map(\.delivery)
    try carryOut(verdict, deliveries)
    removeEndedConsumers()
    // What goes back to its place is not recorded: a crash would put it there, too.
    return !verdict.goesBack && deliveries.contains(where: \.isPersistent) ? .endOfTurn : .open
  }

  /// Does what was said of deliveries, in their order, queue by queue; those of queues that are gone are left out.
  func carryOut(_ verdict: Verdict, _ deliveries: [Unacknowledged]) throws(AMQPError) {
    var rest = deliveries[...]
    while let group = rest.first?.group {
      let end = rest.firstIndex { $0.group !== group } ?? rest.endIndex
      let offsets = rest[..<end].map(\.offset)
      rest = rest[end...]
      if !group.topic.isAlive { continue }
      do throws(BrokerStop) {
        switch verdict {
        case .acknowledged: _ = try broker.acknowledge(group, .list(offsets))
        case .requeued(let way): try broker.requeue(group, offsets, way)
        case .rejected: try broker.reject(group, offsets)
        }
      } catch {
        throw .stopped(error)
      }
    }
  }

  /// Lets cancelled consumers go that have nothing out any more.
  @inline(__always) func removeEndedConsumers() {
    if cancelled.isEmpty { return }
    for consumer in cancelled where consumer.inFlight == 0 { broker.remove(consumer) }
    cancelled.removeAll { $0.inFlight == 0 }
  }
}
