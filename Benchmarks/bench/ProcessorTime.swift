// Time that this thread spent on a processor, for benchmarks of pure computation on a machine that does other work too.

import Glibc

enum ProcessorTime {
  /// Nanoseconds since the thread began, waiting for a processor not counted.
  static func nowNs() -> Int64 {
    var time = timespec()
    precondition(clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time) == 0, "every Linux has this clock")
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}
