// Large blocks of memory that never move: the ground that chunks and nodes stand on.
//
// Holds: a slab starts at a multiple of 2 MiB, the size of a huge page.
// Leaves to others: what lies in it, and when it is released. The broker keeps records of messages in such blocks, too.

#if canImport(Glibc)
  import Glibc
#endif

package enum Slab {
  /// One huge page.
  package static let bytes = 2 << 20

  /// Memory for `count` huge pages. The contents are undefined, and nothing is resident before it is touched.
  ///
  /// - Parameter hugePages: asks the kernel for huge pages. Not for the first slab of anything: a small wheel would
  ///   become 2 MiB of resident memory with its first timer.
  package static func allocate(count: Int = 1, hugePages: Bool) -> UnsafeMutableRawPointer {
    let slab = UnsafeMutableRawPointer.allocate(byteCount: count * bytes, alignment: bytes)
    #if canImport(Glibc)
      // Advice only: a kernel without huge pages says no, and all works as before.
      if hugePages { _ = madvise(slab, count * bytes, MADV_HUGEPAGE) }
    #endif
    return slab
  }
}
