// A thread with a name and an end that can be waited for.

import CLinux
import Glibc

/// A running POSIX thread.
public final class Thread: @unchecked Sendable {
  // Written once by `init`, read by `join`, which one owner calls once.
  private var handle = pthread_t()
  private var isJoined = false

  private final class Start {
    let name: String
    let body: @Sendable () -> Void

    init(name: String, body: @escaping @Sendable () -> Void) {
      self.name = name
      self.body = body
    }
  }

  /// Starts a thread.
  ///
  /// - Parameter name: shown by `top -H` and debuggers; the kernel keeps 15 bytes of it.
  public init(name: String, _ body: @escaping @Sendable () -> Void) throws(SystemError) {
    let start = Unmanaged.passRetained(Start(name: name, body: body))
    let number = pthread_create(
      &handle, nil,
      { argument in
        let start = Unmanaged<Start>.fromOpaque(argument!).takeRetainedValue()
        _ = clinux_name_this_thread(start.name)
        start.body()
        return nil
      }, start.toOpaque())
    if number != 0 {
      start.release()
      isJoined = true
      throw SystemError(operation: "start thread \(name)", number: number)
    }
  }

  deinit { if !isJoined { pthread_detach(handle) } }

  /// Waits until the body has returned. To be called by one thread, at most once.
  public func join() {
    precondition(!isJoined, "a thread is joined once")
    isJoined = true
    pthread_join(handle, nil)
  }
}
