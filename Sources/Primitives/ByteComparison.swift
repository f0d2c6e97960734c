// Whether two runs of bytes are the same. The library's `elementsEqual` goes byte by byte; the C library's `memcmp` does not.

import Glibc

extension UnsafeRawBufferPointer {
  /// Whether these are the same bytes. O(count).
  @inlinable public func equals(_ other: UnsafeRawBufferPointer) -> Bool {
    guard count == other.count else { return false }
    guard let base = baseAddress, let otherBase = other.baseAddress, count > 0 else { return true }
    return memcmp(base, otherBase, count) == 0
  }

  /// Whether these are the bytes of a text known at compile time, in UTF-8. O(count).
  @inlinable public func equals(_ text: StaticString) -> Bool {
    equals(UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }
}
