// `bench limit`: what the machine and the load generator can do at best, without the server. What the other commands find stands
// beside these.

import Glibc
import Platform

enum LimitBenchmark {
  static let command = Command(
    name: "limit", summary: "what the machine and the load generator can do, without the server",
    options: [
      Option("requests", 1_000_000, "requests that the generator writes, replies that it reads"),
      Option("syncs", 1000, "writes of 4 KiB with fdatasync, one after the other"),
      Option("wakes", 20_000, "waits of a millisecond"),
      Option("body-bytes", 128, "size of a body"),
      Option("folder", "/tmp", "where the file is made; it is removed afterwards"),
    ], run: run)

  private static func run(_ flags: Flags) -> Report {
    sayExpected(
      seconds: flags.number("requests") / 300_000 + flags.number("syncs") / 2000 + flags.number("wakes") / 900)
    var report = Report(
      flags, title: "What the machine can do without the server",
      meaning:
        "A write of 4 KiB over written blocks with fdatasync; how late a sleep of 1 ms ends; the generator against a sink."
    )
    report.add("write 4 KiB + fdatasync", syncs(flags.number("syncs"), in: flags.text("folder")))
    report.add("late out of a sleep of 1 ms", wakes(flags.number("wakes")))
    report.add("copied in memory, one thread", copied(), "GB/s")
    Progress.begin("the generator alone")
    let limit = GeneratorLimit.measure(
      requests: max(1, flags.number("requests")), bodyBytes: flags.number("body-bytes"))
    report.add("the generator alone writes", limit.written, "requests/s")
    report.add("the generator alone reads", limit.read, "replies/s")
    return report
  }

  /// The bare disk, as a journal uses it: blocks that were written before are overwritten in order.
  static func syncs(_ count: Int, in place: String) -> LatencyHistogram {
    var times = LatencyHistogram()
    let folder = Folder.make(in: place)
    defer { Folder.remove(folder) }
    let file = open("\(folder)/journal", O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
    guard file >= 0 else { fail("cannot make a file in \(folder)") }
    defer { close(file) }
    let block = [UInt8](repeating: 0x5A, count: 4096)
    Progress.begin("write and sync", of: count)
    for number in 0..<count { pwrite(file, block, 4096, off_t(number * 4096)) }
    fsync(file)
    for number in 0..<count {
      let startNs = SystemClock.bootNs()
      pwrite(file, block, 4096, off_t(number * 4096))
      guard fdatasync(file) == 0 else { fail("the disk does not sync") }
      times.record(SystemClock.bootNs() - startNs)
      Progress.advance(1)
    }
    return times
  }

  /// How much later than asked for a thread wakes that sleeps a millisecond, again and again.
  static func wakes(_ count: Int) -> LatencyHistogram {
    var times = LatencyHistogram()
    Progress.begin("waiting", of: count)
    for _ in 0..<count {
      let dueNs = SystemClock.bootNs() + 1_000_000
      SystemClock.pause(ns: 1_000_000)
      times.record(SystemClock.bootNs() - dueNs)
      Progress.advance(1)
    }
    return times
  }

  /// GB a second that one thread copies between two places that no cache holds.
  private static func copied() -> Double {
    let bytes = 128 << 20
    let from = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    let to = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 64)
    defer {
      from.deallocate()
      to.deallocate()
    }
    memset(from, 1, bytes)
    memset(to, 2, bytes)
    let best =
      (0..<5).map { _ -> Int64 in
        let startNs = SystemClock.bootNs()
        memcpy(to, from, bytes)
        return SystemClock.bootNs() - startNs
      }.min() ?? 1
    return Double(bytes) / Double(max(1, best))
  }
}
