// A topic's released messages: segments of an append-only log with dense offsets, the newest part in memory.
//
// Holds: each offset in firstOffset ..< nextOffset is in exactly one chunk, and chunks have no gaps between them; messages of
// forgotten segments cannot be read any more. A record's `sequence` is its offset and its `stampMs` the time of its release,
// which never goes back.
// Leaves to others: durability (the journal has every append until a checkpoint), groups and their cursors, when to trim.
//
// No exclusivity checks on what every message touches: one thread owns it, and the checks took 13 % of a burst's time.

import DataFiles
import Primitives

/// One file of a topic.
struct Segment {
  let baseOffset: TopicOffset
  let file: AppendFile
  var isSealed = false
  /// How many messages of each queue stand before it.
  var queueCounts = QueueCounts()
}

/// A stretch of a segment that is read and cached as one: the sparse index of the log.
struct LogChunk {
  var firstOffset: TopicOffset
  var count: Int
  var filePosition: Int
  var length: Int
  var firstReleasedMs: UnixMs
  var segmentBase: TopicOffset
  var memory: Chunk?
  var isLoading = false
  var wasUsed = true
  /// Its file is removed, because all messages in it have ended.
  var isForgotten = false
  /// How many messages of each queue stand before it.
  var queueCounts = QueueCounts()

  @inline(__always) var endOffset: TopicOffset { firstOffset + UInt64(count) }
}

/// The log of one topic.
public final class TopicLog {
  /// The topic's number, which names its folder.
  public let topic: UInt32
  /// The first offset that is still there.
  @exclusivity(unchecked) public internal(set) var firstOffset: TopicOffset
  /// The offset of the next message.
  @exclusivity(unchecked) public internal(set) var nextOffset: TopicOffset
  /// Bytes in all segments.
  public var bytes: Int { segments.reduce(0) { $0 + $1.file.length } }
  /// When the newest message was released; 0 when there is none.
  @exclusivity(unchecked) public internal(set) var lastReleasedMs: UnixMs = 0

  let io: any IOQueue
  /// It outlives the log: its owner owns the logs, too.
  unowned let cache: ChunkCache
  let segmentBytes: Int
  @exclusivity(unchecked) var segments: [Segment] = []
  @exclusivity(unchecked) var chunks: [LogChunk] = []
  /// How many messages of each queue there have been.
  @exclusivity(unchecked) var queueCounts = QueueCounts()
  /// How many chunks were trimmed from the front: chunk numbers stay what they were.
  @exclusivity(unchecked) var chunksTrimmed = 0
  var obsolete: [String] = []
  private(set) var isDropped = false
  /// Called on the loop when a chunk that somebody waited for has come.
  public var chunkLoaded: (() -> Void)?

  static let chunkBytes = 128 << 10

  /// An empty log whose first offset is `firstOffset`.
  public init(topic: UInt32, firstOffset: TopicOffset = 0, segmentBytes: Int, cache: ChunkCache, io: any IOQueue) {
    self.topic = topic
    self.firstOffset = firstOffset
    nextOffset = firstOffset
    self.segmentBytes = segmentBytes
    self.cache = cache
    self.io = io
  }

  /// Where a topic's files are.
  public static func directory(_ topic: UInt32) -> String { "topics/\(topic)" }

  /// Where a segment is.
  public static func path(_ topic: UInt32, segment baseOffset: TopicOffset) -> String {
    let digits = String(baseOffset)
    return "\(directory(topic))/\(String(repeating: "0", count: 20 - digits.count))\(digits).log"
  }

  func segmentPath(_ baseOffset: TopicOffset) -> String { Self.path(topic, segment: baseOffset) }

  static func indexPath(_ segmentPath: String) -> String { segmentPath.dropLast(4) + ".index" }

  // MARK: Appending

  /// Appends a copy of `record`, released at `releasedMs`; gives its offset. O(1).
  public func append(copyOf record: MessageRecord, releasedMs: UnixMs) -> TopicOffset {
    let length = record.length
    let place = room(length, releasedMs)
    place.copyMemory(from: record.base, byteCount: length)
    return finish(place, releasedMs)
  }

  /// Appends a message made of `parts`. O(1).
  public func append(_ parts: MessageParts, dueMs: UnixMs, releasedMs: UnixMs) -> TopicOffset {
    let place = room(parts.recordLength, releasedMs)
    MessageRecord.write(parts, sequence: 0, dueMs: dueMs, stampMs: 0, topic: topic, at: place)
    return finish(place, releasedMs)
  }

  private func finish(_ place: UnsafeMutableRawPointer, _ releasedMs: UnixMs) -> TopicOffset {
    let record = MessageRecord(place)
    let offset = nextOffset
    record.sequence = offset
    record.stampMs = releasedMs
    record.topic = topic
    record.seal()
    nextOffset += 1
    lastReleasedMs = releasedMs
    queueCounts.add(record.queue)
    return offset
  }

  private func room(_ length: Int, _ releasedMs: UnixMs) -> UnsafeMutableRawPointer {
    if segments.isEmpty || segments[segments.count - 1].isSealed {
      startSegment()
    } else if segments[segments.count - 1].file.length + length > segmentBytes {
      sealSegment()
      startSegment()
    }
    let segment = segments[segments.count - 1]
    let place = segment.file.append(length)
    if let last = chunks.indices.last, chunks[last].memory === segment.file.tail {
      chunks[last].count += 1
      chunks[last].length += length
    } else {
      let memory = segment.file.tail!
      chunks.append(
        LogChunk(
          firstOffset: nextOffset, count: 1, filePosition: memory.filePosition, length: length,
          firstReleasedMs: releasedMs, segmentBase: segment.baseOffset, memory: memory, queueCounts: queueCounts))
      cache.holds(self, chunk: chunksTrimmed + chunks.count - 1, bytes: memory.capacity)
    }
    return place
  }

  private func startSegment() {
    let file = AppendFile(path: segmentPath(nextOffset), length: 0, chunkBytesMax: Self.chunkBytes, io: io)
    segments.append(Segment(baseOffset: nextOffset, file: file, queueCounts: queueCounts))
  }

  /// Ends the last segment and writes its index beside it, so that a start need not read the segment.
  func sealSegment() {
    let last = segments.count - 1
    segments[last].isSealed = true
    segments[last].file.seal()
    let base = segments[last].baseOffset
    let path = Self.indexPath(segments[last].file.path)
    let task = SegmentIndexTask(path: path, chunks: chunks.filter { $0.segmentBase == base }, end: queueCounts)
    io.submit(task, .write)
  }

  // MARK: Trimming

  /// Seals the active segment if its first message was released before `olderThanMs`, so that age can trim it.
  public func sealIfOld(olderThanMs: UnixMs) {
    if let startMs = activeSegmentStartMs, startMs < olderThanMs { sealSegment() }
  }

  /// When the first message of the active segment was released; nil when there is none.
  public var activeSegmentStartMs: UnixMs? {
    guard let last = segments.last, !last.isSealed, last.file.length > 0 else { return nil }
    return firstReleasedMs(ofSegment: segments.count - 1)
  }

  /// When the first segment's newest message was released; nil when there is none.
  public var oldestSegmentEndMs: UnixMs? {
    segments.isEmpty ? nil : segments.count == 1 ? lastReleasedMs : firstReleasedMs(ofSegment: 1)
  }

  /// The first offset that whole segments older than `olderThanMs`, or in excess of `bytesMax`, leave; never beyond what
  /// has been released. The active segment leaves only when all of it is too old. O(segments).
  public func trimTarget(olderThanMs: UnixMs, bytesMax: Int) -> TopicOffset {
    var target = firstOffset
    var excess = bytes - bytesMax
    for (place, segment) in segments.enumerated() {
      let isLast = place == segments.count - 1
      let endReleasedMs = isLast ? lastReleasedMs : firstReleasedMs(ofSegment: place + 1)
      let isOld = endReleasedMs < olderThanMs && nextOffset > segment.baseOffset
      guard isOld || (excess > 0 && !isLast) else { break }
      excess -= segment.file.length
      target = isLast ? nextOffset : segments[place + 1].baseOffset
    }
    return target
  }

  /// Where the second segment begins; nil when there is at most one. What is below can be trimmed as a whole.
  public var oldestSegmentEndOffset: TopicOffset? { segments.count > 1 ? segments[1].baseOffset : nil }

  /// The number of segments.
  public var segmentCount: Int { segments.count }

  /// The first offset of the segment that an offset lies in. O(log segments).
  public func segmentBase(of offset: TopicOffset) -> TopicOffset {
    var low = 0
    var high = segments.count
    while low < high {
      let middle = (low + high) / 2
      if segments[middle].baseOffset <= offset { low = middle + 1 } else { high = middle }
    }
    return low == 0 ? firstOffset : segments[low - 1].baseOffset
  }

  /// Forgets sealed segments of whose offsets `isFinished` says that nobody will read them, though messages before them stay.
  /// Their files go with the next durable checkpoint. The first segment is `trim`'s. O(segments + chunks).
  public func forgetSegments(where isFinished: (Range<TopicOffset>) -> Bool) {
    guard segments.count > 2 else { return }
    var kept = [segments[0]]
    for place in 1..<segments.count {
      let segment = segments[place]
      guard segment.isSealed, place + 1 < segments.count,
        isFinished(segment.baseOffset..<segments[place + 1].baseOffset)
      else {
        kept.append(segment)
        continue
      }
      obsolete.append(segment.file.path)
      obsolete.append(Self.indexPath(segment.file.path))
      forgetChunks(ofSegment: segment.baseOffset)
    }
    segments = kept
  }

  private func forgetChunks(ofSegment base: TopicOffset) {
    for place in chunks.indices where chunks[place].segmentBase == base {
      cache.dropped(chunks[place])
      chunks[place].memory = nil
      chunks[place].isForgotten = true
    }
  }

  private func firstReleasedMs(ofSegment place: Int) -> UnixMs {
    let base = segments[place].baseOffset
    return chunks.first { $0.segmentBase == base }?.firstReleasedMs ?? lastReleasedMs
  }

  /// Forgets everything below `offset`: whole segments go with the next durable checkpoint, a part of one stays unseen.
  public func trim(to offset: TopicOffset) {
    while let segment = segments.first {
      let endOffset = segments.count > 1 ? segments[1].baseOffset : nextOffset
      guard endOffset <= offset, endOffset > segment.baseOffset else { break }
      if !segment.isSealed { sealSegment() }
      obsolete.append(segment.file.path)
      obsolete.append(Self.indexPath(segment.file.path))
      segments.removeFirst()
    }
    firstOffset = max(firstOffset, min(offset, nextOffset))
    let gone = chunks.firstIndex { $0.endOffset > firstOffset } ?? chunks.count
    for chunk in chunks[..<gone] { cache.dropped(chunk) }
    chunks.removeFirst(gone)
    chunksTrimmed += gone
  }

  // MARK: Checkpoints

  /// A segment as a checkpoint names it.
  public struct SegmentState {
    /// Offset of its first message.
    public var baseOffset: TopicOffset
    /// Bytes that count.
    public var length: Int
    /// Whether it takes no more.
    public var isSealed: Bool

    /// Puts them together.
    public init(baseOffset: TopicOffset, length: Int, isSealed: Bool) {
      self.baseOffset = baseOffset
      self.length = length
      self.isSealed = isSealed
    }
  }

  /// Hands all unwritten bytes to the write lane and says what the segments are and which files are to be synced.
  public func checkpoint(unsynced: inout [String]) -> [SegmentState] {
    segments.map {
      let length = $0.file.checkpoint(unsynced: &unsynced)
      return SegmentState(baseOffset: $0.baseOffset, length: length, isSealed: $0.isSealed)
    }
  }

  /// Files that checkpoints no longer name; to be removed once the newest checkpoint is durable.
  public func takeObsolete() -> [String] {
    defer { obsolete = [] }
    return obsolete
  }

  /// Every file of the topic: for its deletion.
  public func allPaths() -> [String] {
    obsolete + segments.flatMap { [$0.file.path, Self.indexPath($0.file.path)] }
  }

  /// Frees its memory and stops calling `chunkLoaded`: for a deleted topic. Reads under way end without effect.
  public func dropMemory() {
    for chunk in chunks { cache.dropped(chunk) }
    chunks = []
    chunkLoaded = nil
    isDropped = true
  }
}
