// Readings of the machine's clocks, and random bytes: the only places where the outside world's accidents come in.

import CLinux
import Glibc
import Primitives

/// Readings of the machine's clocks. About 25 ns each.
public enum SystemClock {
  /// Blocks the calling thread for about `ns`. Never for the loop.
  public static func pause(ns: Int64) {
    var rest = timespec(tv_sec: Int(ns / 1_000_000_000), tv_nsec: Int(ns % 1_000_000_000))
    nanosleep(&rest, nil)
  }

  /// Nanoseconds since boot, counting suspended time; never set by anyone.
  public static func bootNs() -> Int64 { read(CLOCK_BOOTTIME) }

  /// The wall clock, Unix ns.
  public static func wallNs() -> Int64 { read(CLOCK_REALTIME) &+ wallOffsetNs }

  /// `ESCAPEMENT_WALL_OFFSET_MS`, up to a day either way: how several machines do whose clocks differ, on one machine.
  private static let wallOffsetNs: Int64 = {
    guard let text = getenv("ESCAPEMENT_WALL_OFFSET_MS"), let ms = Int64(String(cString: text)) else { return 0 }
    return max(-86_400_000, min(86_400_000, ms)) * 1_000_000
  }()

  private static func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    let result = clock_gettime(clock, &time)
    precondition(result == 0, "the kernel has the boot-time and the wall clock")
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
  }
}

/// Randomness from the kernel.
public enum SystemRandom {
  /// Fills `buffer` with random bytes.
  public static func fill(_ buffer: UnsafeMutableRawBufferPointer) {
    var done = 0
    while done < buffer.count {
      let (count, number) = uninterrupted { getrandom(buffer.baseAddress! + done, buffer.count - done, 0) }
      precondition(count > 0, "getrandom failed with errno \(number)")
      done += count
    }
  }

  /// A random number.
  public static func next() -> UInt64 {
    var number: UInt64 = 0
    withUnsafeMutableBytes(of: &number) { fill($0) }
    return number
  }

  /// A new identity for a data folder.
  public static func storeID() -> StoreID { StoreID(low: next(), high: next()) }
}

/// Tells when somebody sets the wall clock, so that a sleeping loop looks at it.
public final class ClockWatch: Sendable {
  /// Readable once the clock has been set.
  public let descriptor: Int32

  /// Begins to watch.
  public init() throws(SystemError) {
    descriptor = clinux_clock_watch_fd()
    if descriptor < 0 { throw SystemError(operation: "timerfd_create", number: errno) }
  }

  deinit { _ = close(descriptor) }

  /// Goes on watching after the descriptor was readable.
  public func clear() {
    var count: UInt64 = 0
    _ = read(descriptor, &count, 8)
    _ = clinux_clock_watch_arm(descriptor)
  }
}
