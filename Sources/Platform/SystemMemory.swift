// How much memory this process may use.

import CLinux
import Glibc

/// The memory of the machine, or of the control group that the process is in.
public enum SystemMemory {
  /// Bytes, the smaller of the two; at least 64 MiB.
  public static func bytes() -> Int {
    let pages = sysconf(Int32(_SC_PHYS_PAGES))
    let pageBytes = sysconf(Int32(_SC_PAGESIZE))
    let machine = pages > 0 && pageBytes > 0 ? pages * pageBytes : Int.max
    return max(64 << 20, min(machine, groupLimit() ?? .max))
  }

  /// What the control group allows; nil without a limit. In a container the group is the root that is seen there.
  private static func groupLimit() -> Int? {
    let line = text("/proc/self/cgroup").split(separator: "\n").first { $0.hasPrefix("0::/") }
    let group = line.map { "/sys/fs/cgroup\($0.dropFirst(3))/memory.max" }
    let paths = [group, "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"].compactMap { $0 }
    return paths.lazy.compactMap { Int(text($0).prefix { $0 != "\n" }) }.first { $0 > 0 }
  }

  /// The beginning of a small file; empty when it cannot be read.
  private static func text(_ path: String) -> String {
    let descriptor = clinux_open(path, O_RDONLY | O_CLOEXEC, 0)
    guard descriptor >= 0 else { return "" }
    defer { _ = Glibc.close(descriptor) }
    return withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
      let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : ""
    }
  }
}
