// What the broker says at the end of a turn, passed on to the sessions.

import Broker
import Primitives

extension Server {
  /// - Parameter sequence: the last record of the turn.
  func show(_ effects: [Effect], _ sequence: Sequence) {
    let settled = engine.log.settledSequence
    // Most deliveries of a turn go where the one before went.
    var last: Connection?
    for effect in effects {
      switch effect {
      case .deliver(let delivery):
        let key = delivery.consumer.connection
        if last?.key != key { last = connectionByKey[key] }
        if let last { deliver(delivery, to: last, delivery.gate(last: sequence), settled) }
      case .notice(let notice): show(notice, effect.gate(last: sequence))
      }
    }
  }

  // A function of its own, so that nothing is retained and released for each step.
  @inline(never)
  private func deliver(_ delivery: Delivery, to connection: Connection, _ gate: Gate, _ settled: Sequence) {
    let session = connection.session
    connection.output.deliver(behind: gate, settled: settled, mayOvertake: session.allowsOvertaking) {
      session.deliver(delivery)
    }
    touch(connection)
  }

  private func show(_ notice: Notice, _ gate: Gate) {
    switch notice {
    case .retry(let key): retries.append(key)
    case .grown(let topic, let key):
      guard let connection = connectionByKey[key] else { return }
      connection.session.any.grown(topic)
      touch(connection)
    case .heldCheck(let number):
      guard let key = services.rocketMQ.producerToAsk(about: number), let connection = connectionByKey[key] else {
        return
      }
      connection.session.any.askAbout(number)
      touch(connection)
    case .fetched(let consumer, let token, let deliveries):
      guard let connection = connectionByKey[consumer.connection] else { return }
      connection.output.hold(until: gate)
      connection.session.any.fetched(consumer, token: token, deliveries)
      connection.output.closeToOvertaking()
      touch(connection)
    case .truncated(let consumer, let from, let to):
      guard let connection = connectionByKey[consumer.connection] else { return }
      connection.session.any.truncated(consumer, from: from, to: to)
      connection.output.closeToOvertaking()
      touch(connection)
    case .ended(let consumer):
      guard let connection = connectionByKey[consumer.connection] else { return }
      connection.session.any.ended(consumer)
      connection.output.closeToOvertaking()
      touch(connection)
    }
  }
}
