// What a recovery found.

import Primitives

/// The end of the last segment that was cut off, because no one can have been told that it was durable.
public struct TornTail: Equatable, Sendable {
  /// The segment.
  public let file: String
  /// Where the cut is, in bytes from the start of the file.
  public let offset: Int
  /// How many bytes up to the last one that is not zero lie behind the cut.
  public let bytesCut: Int
}

/// Records or bytes that a salvage had to leave out.
public struct LostRange: Equatable, Sendable {
  /// The segment, or where it should be.
  public let file: String
  /// Where the loss begins, in bytes from the start of the file.
  public let offset: Int
  /// The records that may be lost: from this one …
  public let from: Sequence
  /// … up to this one; less than `from` when only bytes between records were unreadable.
  public let through: Sequence
  /// What was wrong.
  public let reason: String
}

/// What a recovery found and where writing goes on.
public struct RecoveryReport: Equatable, Sendable {
  /// Records handed over.
  public internal(set) var records = 0
  /// Bytes of the frames read, headers and marks included.
  public internal(set) var bytes = 0
  /// The end that was cut off, if any.
  public internal(set) var tornTail: TornTail?
  /// What a salvage left out.
  public internal(set) var lost: [LostRange] = []
  /// The sequence that the next record gets.
  public internal(set) var nextSequence: Sequence = 1
  /// The first sequences of the segments there are, ascending, those no longer needed included.
  public internal(set) var segments: [Sequence] = []
  /// Where the last segment's valid part ends, in bytes from the start of the file.
  var lastSegmentEnd = 0

  /// Of a journal that is not there: the first record gets sequence 1.
  public init() {}
}
