// Why a log does not open.

/// What keeps a log from being opened, recovered or continued.
public struct LogError: Error, Equatable, CustomStringConvertible {
  /// What a caller can tell apart.
  public enum Kind: Sendable {
    /// It cannot be read or written.
    case failed
    /// Records that had been durable are missing, or are not what was written.
    case damaged
    /// It is of another identity, or of a version that this program does not know.
    case foreign
    /// It holds records, and no checkpoint says which log they belong to.
    case orphaned
    /// The caller of the recovery could not use a record.
    case unusable
  }

  /// The kind of failure.
  public let kind: Kind
  /// What happened, to which file or record, and what to do.
  public let description: String

  /// Makes an error.
  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }
}
