// When sessions want to be woken: heartbeats, idle connections, logins that take too long.
//
// Holds: at most one timer a connection; a server whose sessions ask for nothing never wakes for this.
// Leaves to others: what a session does when it is woken.

import Primitives
import TimingWheel

/// The timers of connections.
struct WakeUps: ~Copyable {
  private var wheel: TimingWheel
  private var expired = ExpiredTimers()
  /// By the timer's index, the key of its connection.
  private var keys: [UInt64] = []

  init(startMs: UnixMs) { wheel = TimingWheel(tickMs: 1, wheelSize: 512, startMs: startMs) }

  /// When the next one is due; nil for never.
  var nextMs: UnixMs? { wheel.nextWakeUpMs }

  /// Lets the connection's timer follow what its session asks for. O(1).
  mutating func follow(_ connection: Connection) {
    guard connection.wakeUp?.atMs != connection.wakeUpMs else { return }
    stop(connection)
    guard let atMs = connection.wakeUpMs else { return }
    let timer = wheel.insert(dueMs: atMs)
    while keys.count <= Int(timer.index) { keys.append(0) }
    keys[Int(timer.index)] = connection.key
    connection.wakeUp = (timer, atMs)
  }

  /// The connection is gone.
  mutating func stop(_ connection: Connection) {
    if let (timer, _) = connection.wakeUp { _ = wheel.cancel(timer) }
    connection.wakeUp = nil
  }

  /// The connections whose time has come.
  mutating func due(nowMs: UnixMs) -> [UInt64] {
    expired.removeAll()
    wheel.advance(to: nowMs, into: &expired)
    return (0..<expired.count).map { keys[Int(expired[$0].id.index)] }
  }
}
