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

  /// What the control group allows, as a process in a container sees its own; nil without a limit.
  private static func groupLimit() -> Int? {
    for path in ["/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"] {
      let descriptor = clinux_open(path, O_RDONLY | O_CLOEXEC, 0)
      guard descriptor >= 0 else { continue }
      defer { _ = Glibc.close(descriptor) }
      let text = withUnsafeTemporaryAllocation(of: UInt8.self, capacity: 32) { buffer in
        let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
        return count > 0 ? String(decoding: buffer[..<count].prefix { $0 != 0x0A }, as: UTF8.self) : ""
      }
      if let limit = Int(text), limit > 0 { return limit }
    }
    return nil
  }
}
