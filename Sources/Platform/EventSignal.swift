// A signal from one thread to another that can be waited for with epoll: eventfd.

import CLinux
import Glibc

/// Raised by any thread; readable until `clear`. Raising twice before a `clear` is raising once.
public final class EventSignal: Sendable {
  /// The descriptor, to be watched for reading.
  public let descriptor: Int32

  /// Makes a signal that is not raised.
  public init() throws(SystemError) {
    descriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
    if descriptor < 0 { throw SystemError(operation: "eventfd", number: errno) }
  }

  deinit { _ = close(descriptor) }

  /// Raises it. About 0.3 µs; never blocks.
  public func raise() {
    var one: UInt64 = 1
    _ = uninterrupted { write(descriptor, &one, 8) }
  }

  /// Takes it back; whether it was raised.
  @discardableResult
  public func clear() -> Bool {
    var count: UInt64 = 0
    return uninterrupted { read(descriptor, &count, 8) }.result == 8
  }

  /// Blocks until it is raised, or `timeoutNs` have passed (negative: no limit), and takes it back.
  ///
  /// - Returns: whether it was raised.
  @discardableResult
  public func wait(timeoutNs: Int64) -> Bool {
    _ = clinux_wait_readable_ns(descriptor, timeoutNs)
    return clear()
  }
}
