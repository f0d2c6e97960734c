// What a checkpoint says: all state that is not in the files it names, and how much of those files counts.
//
// Bytes (little-endian, strings as u32 length and UTF-8), inside the frame of `CheckpointFile`:
//   i64 now, then the parts of the rooms, each as its file says: `Pending+State` (first part), `Topics+State`, `Groups+State`,
//   `Pending+State` (second part), `Held`, `Queues+State`, `Catalog`, `Topics+State` (queues of topics), `CommittedOffsets`,
//   `Pending+State` (third part)
// Folders of older versions end before the last one or the last three, which say of nothing in them.

import DataFiles
import DelayStore
import Primitives
import TopicLog

/// A checkpoint ready to be written.
public struct CheckpointPlan {
  /// The state, for `CheckpointFile`.
  public var state: [UInt8]
  /// Every record up to here is in it.
  public var sequence: Sequence
  /// Files to sync before the checkpoint may count.
  public var unsynced: [String]
  /// Files and folders to remove once the checkpoint is durable.
  public var removals: [String]
  /// Folders to remove after that.
  public var emptyDirectories: [String]
}

/// State read from a checkpoint, before the files it names are opened.
public struct CheckpointState {
  var nowMs: UnixMs
  var pending = Pending.State()
  var topics = Topics.State()
  var groups = Groups.State()
  var held = Held.State()
  var queues = Queues.State()
  var catalog = Catalog.State()
  var committed = CommittedOffsets.State()

  /// Reads the bytes; nil when they are not a checkpoint's state.
  public init?(_ bytes: ArraySlice<UInt8>) {
    do throws(CheckpointFault) {
      var reader = StateReader(bytes)
      nowMs = try reader.read(Int64.self)
      try pending.readTimes(&reader)
      topics = try Topics.State(&reader)
      groups = try Groups.State(&reader)
      try pending.readFiles(&reader)
      held = try Held.State(&reader)
      queues = try Queues.State(&reader)
      catalog = try Catalog.State(&reader)
      guard !reader.isAtEnd else { return }
      try topics.readQueueCounts(&reader)
      committed = try CommittedOffsets.State(&reader)
      guard !reader.isAtEnd else { return }
      try pending.readLanes(&reader)
    } catch {
      return nil
    }
  }

  /// The data files that the checkpoint names, relative to the data folder, without those of recent outcomes.
  public var dataFiles: [String] {
    pending.slices.map(\.path)
      + topics.topics.flatMap { topic in
        topic.segments.map { TopicLog.path(topic.number, segment: $0.baseOffset) }
      }
      + pending.buckets.map { RecentOutcomes.path($0.bucket) }
  }
}

// What a check of the folder looks at, and what a copy of it takes.
extension CheckpointState {
  /// Slice files and how much of them counts.
  public var sliceFiles: [(path: String, length: Int)] { pending.slices.map { ($0.path, $0.length) } }

  /// The slices.
  public var slices: [DelayStore.SliceState] { pending.slices }

  /// Files of recent outcomes and how much of them counts.
  public var outcomeFiles: [(path: String, length: Int)] {
    pending.buckets.map { (RecentOutcomes.path($0.bucket), $0.length) }
  }

  /// The offset behind the last message of a topic.
  public func nextOffset(ofTopic number: UInt32) -> TopicOffset? {
    topics.topics.first { $0.number == number }?.nextOffset
  }

  /// Topics by number and name, with their segments.
  public var topicFiles: [(topic: UInt32, name: String, segments: [TopicLog.SegmentState])] {
    topics.topics.map { ($0.number, $0.name, $0.segments) }
  }

  /// A data file and how much of it counts.
  public struct CountedFile {
    /// Where it is.
    public var path: String
    /// Bytes that count; what lies behind them belongs to a later checkpoint.
    public var length: Int
    /// Whether it will never change any more.
    public var isFinal = false
  }

  /// Every data file.
  public var countedFiles: [CountedFile] {
    var files = pending.slices.map { CountedFile(path: $0.path, length: $0.length) }
    for topic in topics.topics {
      files += topic.segments.map { segment in
        CountedFile(
          path: TopicLog.path(topic.number, segment: segment.baseOffset), length: segment.length,
          isFinal: segment.isSealed)
      }
    }
    files += pending.buckets.map { CountedFile(path: RecentOutcomes.path($0.bucket), length: $0.length) }
    return files
  }

  /// Mends the bytes of a file of recent outcomes; gives how many of them were lost.
  public static func mendOutcomes(_ bytes: UnsafeMutableRawBufferPointer) -> Int { RecentOutcomes.mend(bytes) }

  /// Reads the files of recent outcomes; gives how many entries they have.
  public func checkOutcomes(_ files: OpenFiles) throws(StorageError) -> Int {
    var count = 0
    for bucket in pending.buckets where bucket.length > 0 {
      _ = try RecentOutcomes.read(RecentOutcomes.path(bucket.bucket), bucket.length, files)
      count += bucket.length / RecentOutcomes.entryBytes
    }
    return count
  }
}
