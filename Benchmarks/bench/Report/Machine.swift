// What the figures were measured on.

import Foundation

/// The machine and the moment.
struct Machine: Encodable {
  var date: String
  var processor: String
  var processors: Int
  var memoryBytes: Int
  var system: String
  /// The machine's load over the last minute when the run began: figures taken beside other work need it.
  var load: Double

  init() {
    let format = ISO8601DateFormatter()
    date = format.string(from: Date())
    processor = Self.line("model name", in: "/proc/cpuinfo") ?? "unknown"
    processors = ProcessInfo.processInfo.activeProcessorCount
    memoryBytes = Int(ProcessInfo.processInfo.physicalMemory)
    let release = Self.text("/proc/sys/kernel/osrelease").trimmingCharacters(in: .whitespacesAndNewlines)
    system = "Linux \(release)"
    var loads = [0.0]
    load = getloadavg(&loads, 1) == 1 ? loads[0] : 0
  }

  /// One line for people.
  var text: String {
    "\(processors) × \(processor), \(Figures.decimal(Double(memoryBytes) / 1_073_741_824, places: 0)) GiB, \(system), "
      + "load \(Figures.decimal(load)), \(date)"
  }

  // Files of /proc have no length, so they are read to their end.
  private static func text(_ path: String) -> String {
    guard let file = FileHandle(forReadingAtPath: path), let data = try? file.readToEnd() else { return "" }
    return String(decoding: data, as: UTF8.self)
  }

  private static func line(_ name: String, in path: String) -> String? {
    text(path).split(separator: "\n").first { $0.hasPrefix(name) }?
      .split(separator: ":", maxSplits: 1).last.map { $0.trimmingCharacters(in: .whitespaces) }
  }
}
