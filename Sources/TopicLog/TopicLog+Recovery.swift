// A start: the segments that a checkpoint names are read back into a log.

import DataFiles
import Primitives

extension TopicLog {
  /// Takes over the segments of a checkpoint. What lies behind a segment's length is cut off: the journal has it. Sealed
  /// segments are known by their index file (or read, when that is missing or bad); the active one is read whole.
  ///
  /// - Parameter queueCounts: how many messages of each queue stand before the first segment, or before `nextOffset` when
  ///   there is none.
  /// - Throws: `damaged` when a file is shorter than the checkpoint says or a record does not match its checksum.
  public func recover(
    _ states: [SegmentState], nextOffset: TopicOffset, lastReleasedMs: UnixMs, queueCounts: QueueCounts = QueueCounts(),
    files: OpenFiles
  ) throws(StorageError) {
    self.queueCounts = queueCounts
    self.lastReleasedMs = lastReleasedMs
    for state in states {
      let path = segmentPath(state.baseOffset)
      let file = try files.file(path, create: state.length == 0)
      let size = try files.storage.size(file)
      guard size >= state.length else {
        throw StorageError(
          kind: .damaged, operation: "open", path: path,
          reason: "it has \(size) bytes where the checkpoint has \(state.length)")
      }
      if size > state.length { try files.storage.truncate(file, to: state.length) }
      if let last = chunks.last, last.endOffset < state.baseOffset { chunks.append(Self.hole(behind: last, to: state)) }
      let content: SegmentIndex.Content
      if let known = try storedIndex(state, files) {
        content = known
      } else {
        content = try Self.scan(files, path: path, state, start: self.queueCounts)
      }
      chunks.append(contentsOf: content.chunks)
      let append = AppendFile(path: path, length: state.length, chunkBytesMax: Self.chunkBytes, io: io)
      segments.append(
        Segment(baseOffset: state.baseOffset, file: append, isSealed: state.isSealed, queueCounts: self.queueCounts))
      self.queueCounts = content.end
    }
    let end = chunks.last?.endOffset ?? self.nextOffset
    guard end == nextOffset || chunks.isEmpty else {
      throw StorageError(
        kind: .damaged, operation: "open", path: Self.directory(topic),
        reason: "its segments end at offset \(end) where the checkpoint has \(nextOffset)")
    }
    self.nextOffset = nextOffset
  }

  /// Stands for the segments that were forgotten in front of one that is there.
  private static func hole(behind last: LogChunk, to state: SegmentState) -> LogChunk {
    var hole = LogChunk(
      firstOffset: last.endOffset, count: Int(state.baseOffset - last.endOffset), filePosition: 0, length: 0,
      firstReleasedMs: last.firstReleasedMs, segmentBase: .max, queueCounts: last.queueCounts)
    hole.isForgotten = true
    return hole
  }

  /// What the index file of a sealed segment says; nil when it is missing or bad.
  private func storedIndex(
    _ state: SegmentState, _ files: OpenFiles
  ) throws(StorageError) -> SegmentIndex.Content? {
    guard state.isSealed else { return nil }
    let path = Self.indexPath(segmentPath(state.baseOffset))
    do throws(StorageError) {
      let file = try files.file(path, create: false)
      defer { files.forget(path) }
      let memory = Chunk(filePosition: 0, capacity: try files.storage.size(file))
      let room = UnsafeMutableRawBufferPointer(start: memory.base, count: memory.capacity)
      let count = try files.storage.read(file, at: 0, into: room)
      let bytes = UnsafeRawBufferPointer(rebasing: room[..<count])
      return SegmentIndex.decode(
        bytes, baseOffset: state.baseOffset, segmentLength: state.length, start: queueCounts)
    } catch  where error.kind == .notFound {
      return nil
    }
  }

  /// Reads a segment whole and checks every record: what its chunks are.
  static func scan(
    _ files: OpenFiles, path: String, _ state: SegmentState, start: QueueCounts
  ) throws(StorageError) -> SegmentIndex.Content {
    var content = SegmentIndex.Content(end: start)
    var position = 0
    var offset = state.baseOffset
    let file = try files.file(path, create: state.length == 0)
    var wanted = chunkBytes
    while position < state.length {
      let memory = Chunk(filePosition: position, capacity: min(wanted, state.length - position))
      let room = UnsafeMutableRawBufferPointer(start: memory.base, count: memory.capacity)
      let count = try files.storage.read(file, at: position, into: room)
      var chunk = LogChunk(
        firstOffset: offset, count: 0, filePosition: position, length: 0, firstReleasedMs: 0,
        segmentBase: state.baseOffset, queueCounts: content.end)
      while let record = MessageRecord.validated(UnsafeRawBufferPointer(rebasing: room[chunk.length..<count])),
        record.sequence == offset
      {
        if chunk.count == 0 { chunk.firstReleasedMs = record.stampMs }
        chunk.count += 1
        chunk.length += record.length
        content.end.add(record.queue)
        offset += 1
      }
      if chunk.count == 0 {
        let announced = count >= 4 ? MessageRecord(memory.base).length : 0
        guard announced > count, announced <= state.length - position else {
          throw StorageError(
            kind: .damaged, operation: "read", path: path,
            reason: "the record at byte \(position) does not match its checksum or is not offset \(offset)")
        }
        wanted = announced
        continue
      }
      wanted = chunkBytes
      content.chunks.append(chunk)
      position += chunk.length
    }
    return content
  }

  /// Reads a segment whole and checks it, changing nothing; gives the number of its messages.
  public static func check(
    _ files: OpenFiles, topic: UInt32, _ state: SegmentState, path: String
  ) throws(StorageError) -> Int {
    let size = try files.storage.size(try files.file(path, create: false))
    guard size >= state.length else {
      throw StorageError(
        kind: .damaged, operation: "open", path: path,
        reason: "it has \(size) bytes where the checkpoint has \(state.length)")
    }
    return try scan(files, path: path, state, start: QueueCounts()).chunks.reduce(0) { $0 + $1.count }
  }
}
