// The order in which messages are released, and how far a release has come.

import Primitives

/// A position in the order of release: by time, and by acceptance within a time.
struct Watermark: Comparable, BitwiseCopyable {
  /// Time of release.
  var dueMs: UnixMs
  /// Sequence of acceptance.
  var sequence: Sequence

  @inline(__always) static func < (left: Watermark, right: Watermark) -> Bool {
    (left.dueMs, left.sequence) < (right.dueMs, right.sequence)
  }
}

/// The order of acceptance of messages: the journal record that accepted a message, and the message's position in that record.
enum MessageSequence {
  private static let positionBits: UInt64 = 10
  /// From a record's first sequence to that of the next record.
  static let perRecord: Sequence = 1 << positionBits

  /// The record that accepted the message of this sequence.
  static func record(of sequence: Sequence) -> Sequence { sequence >> positionBits }

  static func of(record: Sequence, position: Int = 0) -> Sequence { record << positionBits | UInt64(position) }
}
