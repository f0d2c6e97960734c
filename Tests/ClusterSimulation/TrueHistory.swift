// What the stream really holds, folded as it is stored: the judge of what nodes show.
//
// Holds: it sees every entry once, in order, with no fault in between.

import Cluster
import DecisionLog
import Primitives

/// The fold of everything that was stored.
struct TrueHistory {
  private(set) var fold = Fold()
  /// The messages that count.
  private var valid: [[UInt8]] = []
  private var frames: [UInt8] = []
  /// For each epoch the first record that can belong to it.
  private var epochs: [(epoch: UInt64, firstRecord: Sequence)] = []
  /// For each leader that gave its place away, the last record that it could have submitted.
  private var resignations: [UInt64: Sequence] = [:]
  private(set) var complaints: [String] = []

  /// Takes the next entry.
  mutating func stored(_ sequence: UInt64, _ message: [UInt8]) {
    switch fold.fold(message, at: sequence) {
    case .void: return
    case .valid(let entry, let content):
      valid.append(message)
      if entry.kind == .epoch { epochs.append((entry.epoch, fold.position.nextRecord)) }
      if case .records(let more) = content { frames += more }
      if let last = resignations[entry.epoch], fold.position.nextRecord > last + 1 {
        complaints.append("the leader of epoch \(entry.epoch) resigned behind record \(last), and went on")
      }
    case let other: complaints.append("message \(sequence) of the stream is neither valid nor void: \(other)")
    }
  }

  /// The leader of `epoch` gives its place away, and decides nothing behind record `last`.
  mutating func resigned(_ epoch: UInt64, behind last: Sequence) { resignations[epoch] = last }

  /// The current epoch.
  var epoch: UInt64 { fold.position.epoch }

  /// Whether everything that the leader of `epoch` had up to record `sequence` is in the log.
  func holds(_ sequence: Sequence, ofEpoch epoch: UInt64) -> Bool {
    guard fold.position.nextRecord > sequence else { return false }
    return epochs.first { $0.epoch > epoch }.map { $0.firstRecord > sequence } ?? true
  }

  /// Folds what counted once more.
  mutating func judgeFoldOfFold() {
    var again = Fold()
    var framesAgain: [UInt8] = []
    for (place, message) in valid.enumerated() {
      guard case .valid(_, let content) = again.fold(message, at: UInt64(place + 1)) else {
        return complaints.append("a fold of the fold drops entry \(place)")
      }
      if case .records(let more) = content { framesAgain += more }
    }
    if again.position.chain != fold.position.chain || framesAgain != frames {
      complaints.append("a fold of the fold is another one")
    }
  }
}
