// Records that were folded and wait for the loop to apply them.
//
// Holds: they are in order and dense; each is handed out once.
// Leaves to others: how many bytes may wait (ReplicatedLog), what the records mean (the broker).

import DecisionLog
import Primitives

/// Frames on their way from the log's thread to the loop.
struct FoldedRecords {
  private var runs: [ArraySlice<UInt8>] = []
  /// Bytes that wait.
  private(set) var bytes = 0
  /// The next record that will be handed out.
  private(set) var next: Sequence

  init(next: Sequence) { self.next = next }

  mutating func append(_ frames: ArraySlice<UInt8>) {
    guard !frames.isEmpty else { return }
    runs.append(frames)
    bytes += frames.count
  }

  /// Takes everything out.
  mutating func takeAll() -> [ArraySlice<UInt8>] {
    bytes = 0
    defer { runs = [] }
    return runs
  }

  /// Notes that records up to the one before `sequence` have been handed out.
  mutating func handedOut(upTo sequence: Sequence) { next = sequence }
}
