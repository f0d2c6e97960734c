// A chain of appends, timed.

import Platform
import ReplicatedStream

struct Load {
  private let count: Int
  private let window: Int
  private let entry: [UInt8]
  private let beganNs = SystemClock.bootNs()
  private var next: EntrySequence?
  private var sent = 0
  private var sentNs: [StreamCall: Int64] = [:]
  private var tookNs: [Int64] = []
  private var failed = 0
  private let question: StreamCall

  init(count: Int, bytes: Int, window: Int, _ stream: some ReplicatedStream) {
    self.count = count
    self.window = window
    entry = Shell.bytes(max(1, bytes), seed: 1)
    question = stream.last()
  }

  mutating func fill(_ stream: some ReplicatedStream) {
    while let last = next, sent < count, sentNs.count < window {
      let call = entry.withUnsafeBytes { stream.append($0, expecting: last) }
      sentNs[call] = SystemClock.bootNs()
      next = last + 1
      sent += 1
    }
  }

  /// Whether the event belongs to the load.
  mutating func take(_ event: StreamEvent) -> Bool {
    switch event {
    case .last(question, .last(_, let last, _)): next = last
    case .last(question, .unknown): failed = count
    case .entry: break
    case .appended(let call, let outcome):
      guard let began = sentNs.removeValue(forKey: call) else { return false }
      if case .stored = outcome { tookNs.append(SystemClock.bootNs() - began) } else { failed += 1 }
    default: return false
    }
    return true
  }

  /// A line, when all have come back.
  var report: String? {
    guard tookNs.count + failed >= count else { return nil }
    let sorted = tookNs.sorted()
    let seconds = Double(SystemClock.bootNs() - beganNs) / 1e9
    let rate = Double(tookNs.count) / seconds
    let p50 = sorted.isEmpty ? 0 : sorted[sorted.count / 2] / 1000
    let p99 = sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, sorted.count * 99 / 100)] / 1000
    let figures = "\(p50) us p50, \(p99) us p99, \(Int(rate)) a second, \(Int(rate * Double(entry.count) / 1e6)) MB/s"
    return "load \(tookNs.count) stored, \(failed) not: \(figures)"
  }
}
