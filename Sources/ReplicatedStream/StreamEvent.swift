// What a stream tells its user.

/// Names a call until its outcome has come. Never used twice by one stream.
public struct StreamCall: Hashable, Sendable {
  /// Its number.
  public let number: UInt64

  /// The call of this number.
  public init(_ number: UInt64) { self.number = number }
}

/// Which stream it is: one that was removed and made again is another one.
public struct StreamIdentity: Hashable, Sendable {
  /// Its name.
  public let name: String
  /// When it was made, in ns of Unix time, by the clock of whoever made it.
  public let createdNs: Int64

  /// Puts the two together.
  public init(name: String, createdNs: Int64) {
    self.name = name
    self.createdNs = createdNs
  }
}

/// Whether the stream can be reached.
public enum StreamLink: Equatable, Sendable {
  /// Calls are sent; the tail is listened to.
  case connected
  /// There is no connection, or the stream has not been found as it must be. Calls come to nothing: `.unknown`.
  case away
}

/// An entry as it is stored.
public struct StreamEntry: Equatable, Sendable {
  /// Its number.
  public let sequence: EntrySequence
  /// The number of the entry before it; 0 for none. A tail that has not seen that one has missed something.
  public let previous: EntrySequence
  /// What was appended.
  public let bytes: [UInt8]

  /// Puts them together.
  public init(sequence: EntrySequence, previous: EntrySequence, bytes: [UInt8]) {
    self.sequence = sequence
    self.previous = previous
    self.bytes = bytes
  }
}

/// What became of an append.
public enum AppendOutcome: Equatable, Sendable {
  /// It is stored: under the sequence behind the one that it expected.
  case stored(EntrySequence)
  /// It is not stored and will not be: the stream ended elsewhere. `last` is where, if that was told; it may be the end that
  /// the stream will have when all that is in flight is stored.
  case refused(last: EntrySequence?)
  /// It is not stored and will not be: the stream has reached its size. After `truncate` it goes on.
  case full
  /// Stored, not stored, or stored later.
  case unknown
}

/// What became of a read.
public enum ReadOutcome: Equatable, Sendable {
  /// At least one entry: the one that was asked for, and those behind it without gaps.
  case entries([StreamEntry])
  /// The stream does not reach so far, as far as is known; ask again later, or wait for the tail.
  case nothingYet
  /// The entry is gone for good: the stream begins at `first`.
  case truncated(first: EntrySequence)
  /// No answer; ask again.
  case unknown
}

/// What became of the question for the end.
public enum LastOutcome: Equatable, Sendable {
  /// The first and the last sequence that are there, and how many bytes the stream takes of its size. An empty stream has
  /// `first` = `last` + 1.
  case last(first: EntrySequence, last: EntrySequence, bytes: UInt64)
  /// No answer; ask again.
  case unknown
}

/// What became of a truncation.
public enum TruncateOutcome: Equatable, Sendable {
  /// All entries below are gone.
  case done
  /// Some, none or all of them may be gone; to do it again is harmless.
  case unknown
}

/// One thing that has happened.
public enum StreamEvent: Equatable, Sendable {
  /// The outcome of `append`.
  case appended(StreamCall, AppendOutcome)
  /// The outcome of `read`.
  case read(StreamCall, ReadOutcome)
  /// The outcome of `last`.
  case last(StreamCall, LastOutcome)
  /// The outcome of `truncate`.
  case truncated(StreamCall, TruncateOutcome)
  /// An entry that somebody has stored, this user too.
  case entry(StreamEntry)
  /// The link has changed. `.away` comes behind the outcomes of all calls that were in flight.
  case link(StreamLink)
  /// Something that an operator must see: what it is, and what to do. The same one is told again only after the link was
  /// connected in between.
  case problem(String)
}
