// What the server does after a turn.

import Primitives

/// Something for the server to do after a turn, in this order.
public enum Effect {
  case deliver(Delivery)
  case notice(Notice)

  /// Whether it shows a message whose release is not settled at `sequence`.
  public func mustBeDurable(after sequence: Sequence) -> Bool {
    switch self {
    case .deliver(let delivery):
      return delivery.consumer.topic.appendSequence > sequence || delivery.waitsForItsEnd
    case .notice(.fetched(let consumer, _, let deliveries)):
      if deliveries.isEmpty { return false }
      return consumer.topic.appendSequence > sequence || deliveries.contains(where: \.waitsForItsEnd)
    case .notice: return false
    }
  }
}
