// The internal timers: ack waits, redelivery times, waiting fetches, questions about held messages, idle queues, and the sweep
// of recent outcomes. They are volatile: a start makes them anew from the state of the rooms that need them.
//
// Holds: a timer that was stopped never fires.
// Leaves to others: what a timer means (whoever started it), pending messages, which have a wheel of their own.

import Primitives
import TimingWheel

/// What the internal timers are about.
struct TimerTarget: BitwiseCopyable {
  enum Kind: UInt8, BitwiseCopyable { case outstanding, fetch, sweep, held, idleQueue }
  var kind = Kind.sweep
  /// Group or consumer.
  var owner: UInt32 = 0
  /// Offset, fetch token or number of a held message.
  var value: UInt64 = 0
}

extension TimerID {
  /// Stands for no timer.
  static let none = TimerID(index: .max, generation: .max)
}

/// Timers with their targets.
final class Timers {
  @exclusivity(unchecked) private var wheel = TimingWheel(tickMs: 1, wheelSize: 512, startMs: 0)
  private let targets = PagedArray(filler: TimerTarget())
  @exclusivity(unchecked) private var expired = ExpiredTimers()
  private var fired: [(timer: TimerID, target: TimerTarget)] = []

  /// Forgets every timer; time begins at `nowMs`.
  func restart(nowMs: UnixMs) { wheel = TimingWheel(tickMs: 1, wheelSize: 512, startMs: max(0, nowMs)) }

  /// Starts a timer. O(1).
  func start(dueMs: UnixMs, _ target: TimerTarget) -> TimerID {
    let timer = wheel.insert(dueMs: dueMs)
    targets.grow(to: Int(timer.index) + 1)
    targets[timer.index] = target
    return timer
  }

  /// Stops a timer, if it has not fired. O(1).
  func stop(_ timer: TimerID) {
    if timer != .none { _ = wheel.cancel(timer) }
  }

  /// When the next one fires; nil for never.
  var nextWakeUpMs: UnixMs? { wheel.nextWakeUpMs }

  /// The timers that have run out by `nowMs`, which are gone then.
  func takeFired(nowMs: UnixMs) -> [(timer: TimerID, target: TimerTarget)] {
    expired.removeAll()
    wheel.advance(to: nowMs, into: &expired)
    // All targets at once: what a timer starts may use the index of one that is still to be looked at.
    fired.removeAll(keepingCapacity: true)
    for place in 0..<expired.count { fired.append((expired[place].id, targets[expired[place].id.index])) }
    return fired
  }
}
