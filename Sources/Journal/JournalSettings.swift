// What can be set about a journal.

/// When written records are synced.
public enum SyncPolicy: Equatable, Sendable {
  /// Before anything that waits for them is answered.
  case always
  /// At most so long after the write; a crash of the machine loses up to this much.
  case interval(ms: Int)
  /// When the segment changes and at the end; a crash of the machine loses what the kernel had not written by itself.
  case never
}

/// Settings of a journal.
public struct JournalSettings: Sendable {
  /// When records are synced.
  public var policy: SyncPolicy
  /// Length of the segments to be made, in bytes; a multiple of 4096, at least `SegmentWriter.segmentBytesMin`.
  public var segmentBytes: Int

  /// Makes settings.
  public init(policy: SyncPolicy = .always, segmentBytes: Int = SegmentWriter.segmentBytesDefault) {
    self.policy = policy
    self.segmentBytes = segmentBytes
  }
}
