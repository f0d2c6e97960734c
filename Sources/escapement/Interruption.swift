// SIGINT and SIGTERM as cancellation: what runs gets to clean up.

import Dispatch
import Glibc

enum Interruption {
  /// Runs `body` in a task of its own that the first SIGINT or SIGTERM cancels. The signals stay caught afterwards, so
  /// that cleaning up is not cut short.
  static func cancelling<Result: Sendable>(
    _ body: @escaping @Sendable () async throws -> Result
  ) async throws -> Result {
    let task = Task { try await body() }
    let sources = [SIGINT, SIGTERM].map { number in
      signal(number, SIG_IGN)
      let source = DispatchSource.makeSignalSource(signal: number, queue: .global())
      source.setEventHandler { task.cancel() }
      source.resume()
      return source
    }
    defer { for source in sources { source.cancel() } }
    return try await task.value
  }
}
