// Deliveries that a client keeps for too long without acknowledging them: its channel is closed for that, so that they come to
// somebody who works.
//
// Holds: no delivery times out early. One may be up to `looksEveryMs` late, so that a channel with very many deliveries is not
// looked through again and again.
// Leaves to others: when to look (the sessions are woken at `nextTimeoutMs`), closing the channel.

import Broker
import Primitives

extension RabbitMQChannel {
  private static let looksEveryMs: Int64 = 50

  /// Looks whether a delivery has been kept for too long. O(unacknowledged deliveries), at most twenty times a second, and only
  /// after a timeout has passed since the channel's last look.
  ///
  /// - Returns: how long the delivery might have been kept, in ms; nil when there is none, and the channel stays.
  public func findTimeout() -> Int64? {
    guard nextTimeoutMs <= broker.nowMs else { return nil }
    // A get that waits for the disk is answered first.
    nextTimeoutMs = broker.nowMs + Self.looksEveryMs
    guard waitingGets.isEmpty else { return nil }
    var first: Unacknowledged?
    unacknowledged.forEach { if $0.timesOutMs < first?.timesOutMs ?? .max, $0.group.topic.isAlive { first = $0 } }
    guard let first else {
      nextTimeoutMs = .max
      return nil
    }
    guard first.timesOutMs <= broker.nowMs else {
      nextTimeoutMs = max(nextTimeoutMs, first.timesOutMs)
      return nil
    }
    return rabbitMQ.queue(of: first.group)?.arguments.consumerTimeoutMs ?? consumerTimeoutMs
  }

  /// What the client is told whose channel is closed for that.
  ///
  /// - Parameter name: what the client calls the channel.
  public static func timedOut(_ name: String, timeoutMs: Int64) -> AMQPRefusal {
    AMQPRefusal(
      .preconditionFailed, .preconditionFailed,
      "delivery acknowledgement on \(name) timed out. Timeout value used: \(timeoutMs) ms. It can be configured: by the queue "
        + "argument 'x-consumer-timeout', and by the server's 'amqp-consumer-timeout-ms'", false)
  }
}
