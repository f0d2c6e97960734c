// The file that the log of a program goes to.

import Glibc

extension Log {
  /// Writes a line to the standard error in one call where the system takes it whole. A line that cannot be written is lost:
  /// a program does not end because nobody reads its log.
  public static func standardError(_ line: UnsafeRawBufferPointer) {
    var rest = line[...]
    while !rest.isEmpty {
      let count = Glibc.write(STDERR_FILENO, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { return }
      rest = rest.dropFirst(count)
    }
  }
}
