// The part of `bench peers` that needs no server: the heap of a program's own against the wheel, both under one mutex and condition.

import Platform
import SeededRandom

enum QueuesBenchmark {
  /// What one of the two has shown in one round.
  struct Findings {
    var insertNs = 0.0
    var takeNs = 0.0
    var lateness = LatencyHistogram()
  }

  static func measure(_ core: () -> any DelayQueueCore, _ flags: Flags, seed: UInt64) -> Findings {
    var findings = Findings()
    cost(core(), max(1, flags.number("timers")), seed, &findings)
    findings.lateness = lateness(core(), rate: max(1, flags.number("rate")), seconds: max(1, flags.number("seconds")))
    return findings
  }

  /// Processor time to insert a timer, due at random over 3.6 ms a timer, and to take it: whoever takes looks again when the core
  /// says that there is something to do.
  private static func cost(_ core: any DelayQueueCore, _ timers: Int, _ seed: UInt64, _ findings: inout Findings) {
    var random = SplitMix64(seed: seed)
    let startMs = SystemClock.wallNs() / 1_000_000 + 1000
    let dues = (0..<timers).map { _ in startMs + Int64(random.next(below: UInt64(timers) * 36 / 10 + 1)) }
    let before = ProcessorTime.nowNs()
    for due in dues { core.insert(dueMs: due) }
    let between = ProcessorTime.nowNs()
    var taken = 0
    while let nowMs = core.nextMs { core.take(nowMs: nowMs) { _ in taken += 1 } }
    findings.takeNs = Double(ProcessorTime.nowNs() - between) / Double(timers)
    findings.insertNs = Double(between - before) / Double(timers)
    precondition(taken == timers, "every timer is taken once")
  }

  private static func lateness(_ core: any DelayQueueCore, rate: Int, seconds: Int) -> LatencyHistogram {
    let queue = BlockingDelayQueue(core)
    let count = rate * seconds
    let endMs = SystemClock.wallNs() / 1_000_000 + Int64(seconds + 10) * 1000
    let found = Shared(LatencyHistogram())
    let thread = try? Thread(name: "taker") {
      var times = LatencyHistogram()
      while times.count < count, SystemClock.wallNs() / 1_000_000 < endMs {
        queue.take(until: endMs) { dueMs in
          times.record(SystemClock.wallNs() - dueMs * 1_000_000)
          Progress.advance(1)
        }
      }
      found.change { $0 = times }
    }
    let startMs = SystemClock.wallNs() / 1_000_000 + 200
    for number in 0..<count { queue.insert(dueMs: startMs + Int64(number * 1000 / rate)) }
    thread?.join()
    return found.value
  }
}
