// Where a process spends its processor time, from samples of `perf`: which thread, which function, how often.

import Foundation
import Platform

struct PerfSamples {
  /// A function in which a sample fell.
  struct Place: Hashable {
    var thread: String
    var symbol: String
    var isKernel: Bool
  }

  private(set) var counts: [Place: Int] = [:]
  var total: Int { counts.values.reduce(0, +) }

  /// Whether `perf` is there and may look; a reason and a remedy when not.
  static func obstacle() -> String? {
    guard PeerProcess.find("perf") != nil else {
      return
        "there is no perf; `apt install linux-perf` (Debian) or `apt install linux-tools-generic` (Ubuntu) brings it"
    }
    let folder = Folder.make(in: "/tmp")
    defer { Folder.remove(folder) }
    let status = ChildProcess.run(["perf", "record", "-e", "cpu-clock", "-o", "\(folder)/perf.data", "--", "true"])
    return status == 0
      ? nil
      : "perf may not look; `sysctl kernel.perf_event_paranoid=1`, or root, or the capability CAP_PERFMON allows it"
  }

  /// Samples the process `id` while `work` runs.
  init(of id: pid_t, in folder: String, while work: () -> Void) {
    let null = open("/dev/null", O_WRONLY | O_CLOEXEC)
    defer { close(null) }
    // The clock of the processor and not its counters, which virtual machines often do not have.
    let recorder = ChildProcess(
      ["perf", "record", "-e", "cpu-clock", "-F", "1999", "-p", "\(id)", "-o", "\(folder)/perf.data"],
      output: (null, null))
    SystemClock.pause(ns: 500_000_000)
    work()
    let threads = Self.threads(of: id)
    recorder.end(SIGINT)
    let text = ChildProcess.output([
      "perf", "script", "-i", "\(folder)/perf.data", "-F", "tid,ip,sym,dso", "--no-inline",
    ])
    for line in text.split(separator: "\n") {
      // 29450  7f08bbb9919a $s7Journal… (/path/escapement)
      let words = line.split(separator: " ")
      guard words.count >= 4, let object = words.last, let thread = threads[String(words[0])] else { continue }
      let symbol = words[2..<words.count - 1].joined(separator: " ")
      let isKernel = object.contains("[") && !object.contains("[vdso]")
      counts[Place(thread: thread, symbol: symbol, isKernel: isKernel), default: 0] += 1
    }
  }

  /// The names of the process's threads, by number.
  private static func threads(of id: pid_t) -> [String: String] {
    let folder = "/proc/\(id)/task"
    var names: [String: String] = [:]
    for number in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
      let name = FileHandle(forReadingAtPath: "\(folder)/\(number)/comm").flatMap { try? $0.readToEnd() } ?? Data()
      names[number] = String(decoding: name, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }
    return names
  }
}
