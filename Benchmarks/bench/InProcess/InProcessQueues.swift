// Delay queues without disk and server, as a program would have them in its own memory: a binary heap under a mutex with a condition,
// which is what DelayQueue of Java does, and the timing wheel under the same mutex and condition.
//
// Holds: `take` gives only what is due; a message that is due earlier than all others wakes whoever waits.

import Glibc
import Platform
import TimingWheel

/// Keeps times until they are due.
protocol DelayQueueCore: AnyObject {
  /// When somebody must look again, in ms; nil for never.
  var nextMs: Int64? { get }
  func insert(dueMs: Int64)
  /// Takes what is due at `nowMs`; `use` gets the due time of each.
  func take(nowMs: Int64, _ use: (Int64) -> Void)
}

final class HeapCore: DelayQueueCore {
  private var heap: [Int64] = []

  var nextMs: Int64? { heap.first }

  func insert(dueMs: Int64) {
    heap.append(dueMs)
    var place = heap.count - 1
    while place > 0, case let parent = (place - 1) / 2, heap[parent] > dueMs {
      heap[place] = heap[parent]
      place = parent
    }
    heap[place] = dueMs
  }

  func take(nowMs: Int64, _ use: (Int64) -> Void) {
    while let first = heap.first, first <= nowMs {
      use(first)
      removeFirst()
    }
  }

  private func removeFirst() {
    let last = heap.removeLast()
    if heap.isEmpty { return }
    var place = 0
    while case var child = 2 * place + 1, child < heap.count {
      if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
      if heap[child] >= last { break }
      heap[place] = heap[child]
      place = child
    }
    heap[place] = last
  }
}

final class WheelCore: DelayQueueCore {
  private var wheel: TimingWheel
  private var expired = ExpiredTimers()

  init() { wheel = TimingWheel(tickMs: 1, wheelSize: 512, startMs: SystemClock.wallNs() / 1_000_000) }

  var nextMs: Int64? { wheel.nextWakeUpMs }

  func insert(dueMs: Int64) { _ = wheel.insert(dueMs: dueMs) }

  func take(nowMs: Int64, _ use: (Int64) -> Void) {
    wheel.advance(to: nowMs, into: &expired)
    for place in 0..<expired.count { use(expired[place].dueMs) }
    expired.removeAll()
  }
}

/// A queue that threads insert into and one thread waits at.
final class BlockingDelayQueue: @unchecked Sendable {
  private let core: any DelayQueueCore
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

  init(_ core: any DelayQueueCore) {
    self.core = core
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  deinit {
    pthread_mutex_destroy(mutex)
    pthread_cond_destroy(condition)
    mutex.deallocate()
    condition.deallocate()
  }

  func insert(dueMs: Int64) {
    pthread_mutex_lock(mutex)
    let isFirst = core.nextMs.map { dueMs < $0 } ?? true
    core.insert(dueMs: dueMs)
    pthread_mutex_unlock(mutex)
    if isFirst { pthread_cond_signal(condition) }
  }

  /// Takes what is due, waiting for it until `endMs` at most.
  func take(until endMs: Int64, _ use: (Int64) -> Void) {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    var taken = 0
    while true {
      let nowMs = SystemClock.wallNs() / 1_000_000
      core.take(nowMs: nowMs) {
        taken += 1
        use($0)
      }
      if taken > 0 || nowMs >= endMs { return }
      let wakeMs = min(endMs, core.nextMs ?? endMs)
      var time = timespec(tv_sec: Int(wakeMs / 1000), tv_nsec: Int(wakeMs % 1000) * 1_000_000)
      pthread_cond_timedwait(condition, mutex, &time)
    }
  }
}
