// The confirms that a channel owes its publisher, gathered over a turn.
//
// Holds: every message up to `last` that was not told of is either refused, and in `refused`, or accepted.
// Leaves to others: what must be durable first (the session holds its output).

import AMQPProtocol
import Primitives

/// Publishes of a channel by their numbers, from 1.
struct AMQPConfirms {
  private(set) var last: UInt64 = 0
  private var told: UInt64 = 0
  private var refused: [UInt64] = []

  /// Whether something is to be written.
  var hasNews: Bool { last > told }

  /// The next message was accepted.
  mutating func accept() { last += 1 }

  /// The next message was refused.
  mutating func refuse() {
    last += 1
    refused.append(last)
  }

  /// Calls `body` with the fewest confirms that say all.
  mutating func takeNews(_ body: (_ isAccepted: Bool, _ number: UInt64, _ isMultiple: Bool) -> Void) {
    for number in refused {
      if number > told + 1 { body(true, number - 1, number - 1 > told + 1) }
      body(false, number, false)
      told = number
    }
    refused.removeAll(keepingCapacity: true)
    if last > told { body(true, last, last > told + 1) }
    told = last
  }
}
