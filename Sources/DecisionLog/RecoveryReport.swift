// What a recovery may do, and what it found.

import Primitives

/// How a recovery treats damage.
public enum RecoveryMode: Sendable {
  /// Refuses.
  case strict
  /// Leaves damaged ranges out, and lists them.
  case salvage
  /// As `salvage`, but changes nothing: `lost` is what `strict` would refuse for. The log does not begin afterwards.
  case verify
}

/// The end of a log that was cut off, because no one can have been told that it was durable.
public struct TornTail: Equatable, Sendable {
  /// Where it was.
  public let file: String
  /// Where the cut is, in bytes from the start of the file.
  public let offset: Int
  /// How many bytes up to the last one that is not zero lie behind the cut.
  public let bytesCut: Int

  /// Makes a report of a cut.
  public init(file: String, offset: Int, bytesCut: Int) {
    self.file = file
    self.offset = offset
    self.bytesCut = bytesCut
  }
}

/// Records or bytes that had to be left out.
public struct LostRange: Equatable, Sendable {
  /// Where they are, or should be.
  public let file: String
  /// Where the loss begins, in bytes from the start of the file.
  public let offset: Int
  /// The records that may be lost: from this one …
  public let from: Sequence
  /// … up to this one; less than `from` when only bytes between records were unreadable.
  public let through: Sequence
  /// What was wrong.
  public let reason: String

  /// Makes a report of a loss.
  public init(file: String, offset: Int, from: Sequence, through: Sequence, reason: String) {
    self.file = file
    self.offset = offset
    self.from = from
    self.through = through
    self.reason = reason
  }
}

/// What a recovery found and where the log goes on.
public struct RecoveryReport: Equatable, Sendable {
  /// Records handed over.
  public var records = 0
  /// Bytes read for them.
  public var bytes = 0
  /// The end that was cut off, if any.
  public var tornTail: TornTail?
  /// What was left out.
  public var lost: [LostRange] = []
  /// The sequence that the next record gets.
  public var nextSequence: Sequence = 1

  /// Of a log without records: the first one gets sequence 1.
  public init() {}
}
