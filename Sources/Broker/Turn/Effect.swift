// What the server does after a turn.

import Primitives

/// Something for the server to do after a turn, in this order.
public enum Effect {
  case deliver(Delivery)
  case notice(Notice)

  /// What must be settled before it is shown: the record that appended the message to its topic; for a delivery that is its
  /// own acknowledgement, the record of its end; for a fetch from a topic, the record of the attempt.
  ///
  /// - Parameter last: the last record of the turn.
  public func gate(last: Sequence) -> Gate {
    switch self {
    case .deliver(let delivery): return delivery.gate(last: last)
    case .notice(.fetched(let consumer, _, let deliveries)):
      if deliveries.isEmpty { return .open }
      let needsTurn = !consumer.topic.isQueue || deliveries.contains(where: \.waitsForItsEnd)
      return Gate(needsTurn ? last : consumer.topic.restsOn)
    case .notice: return .open
    }
  }
}
