// What a system call failed with, outside the storage seam.

import Glibc

/// A failed system call: what was tried, and why it failed.
public struct SystemError: Error, Equatable, CustomStringConvertible {
  /// What was tried, with the thing it was tried on: `listen on [::1]:7100`.
  public let operation: String
  /// The system's error number; 0 when the reason is not one of these.
  public let number: Int32
  /// The reason in words.
  public let reason: String

  /// Makes an error; without a `reason`, the system's text for `number`.
  public init(operation: String, number: Int32, reason: String? = nil) {
    self.operation = operation
    self.number = number
    self.reason = reason ?? SystemError.text(number)
  }

  /// Operation and reason in one line.
  public var description: String { "\(operation): \(reason)" }

  /// The system's text for an error number, with the number.
  static func text(_ number: Int32) -> String {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { buffer in
      buffer.initialize(repeating: 0)
      guard strerror_r(number, buffer.baseAddress!, buffer.count) == 0 else { return "errno \(number)" }
      return "\(String(cString: buffer.baseAddress!)) (errno \(number))"
    }
  }
}

/// Repeats a call that gives -1 while a signal interrupts it; the result, with the error number taken at once.
@inline(__always)
func uninterrupted<Result: SignedInteger>(_ call: () -> Result) -> (result: Result, number: Int32) {
  while true {
    let result = call()
    if result != -1 { return (result, 0) }
    let number = errno
    if number != EINTR { return (result, number) }
  }
}
