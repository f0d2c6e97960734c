// Time spent on a processor, for measurements on a machine that does other work too.

import Glibc

enum ProcessorTime {
  /// Nanoseconds since the thread began, waiting for a processor not counted.
  static func nowNs() -> Int64 { read(CLOCK_THREAD_CPUTIME_ID) }

  /// The same of all threads of this process.
  static func ofProcessNs() -> Int64 { read(CLOCK_PROCESS_CPUTIME_ID) }

  private static func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    precondition(clock_gettime(clock, &time) == 0, "every Linux has this clock")
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}
