// What a server asks of its process: signals as events, no death by a closed pipe, as many files as allowed, timers that
// end on time.

import CLinux
import Glibc

/// A signal that people send to a server.
public enum ProcessSignal: Sendable {
  case terminate, interrupt, hangUp
}

/// SIGTERM, SIGINT and SIGHUP as events for epoll.
///
/// Make it before any thread is started: these inherit that the signals are blocked.
public final class ProcessSignals: Sendable {
  /// The descriptor, to be watched for reading.
  public let descriptor: Int32

  /// Blocks the signals and opens their descriptor.
  public init() throws(SystemError) {
    descriptor = clinux_termination_signals_fd()
    if descriptor < 0 { throw SystemError(operation: "signalfd", number: errno) }
  }

  deinit { _ = close(descriptor) }

  /// The next signal that waits, if any.
  public func next() -> ProcessSignal? {
    switch clinux_next_signal(descriptor) {
    case SIGTERM: .terminate
    case SIGINT: .interrupt
    case SIGHUP: .hangUp
    default: nil
    }
  }
}

/// Settings of the process and of its threads.
public enum ProcessSettings {
  /// Makes a write to a closed connection an error instead of the end of the process.
  public static func ignoreBrokenPipes() { _ = clinux_ignore_sigpipe() }

  /// Raises the limit of open files to the highest allowed one; gives the limit, or -1 when it cannot be raised.
  @discardableResult
  public static func raiseOpenFiles() -> Int { clinux_raise_open_files() }

  /// Lets waits of the calling thread end when they are asked to instead of up to 50 µs later.
  public static func usePreciseTimers() { _ = clinux_set_precise_timers() }
}
