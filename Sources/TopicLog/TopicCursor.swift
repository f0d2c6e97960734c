// Reading a topic in order: a cursor remembers its chunk, so that finding the next record is one addition.

import DataFiles
import Primitives

/// A position in a topic log.
public struct TopicCursor: Sendable {
  /// The offset that the next read gives.
  public private(set) var offset: TopicOffset
  fileprivate var chunk = -1
  fileprivate var position = 0

  /// At `offset`.
  public init(offset: TopicOffset) { self.offset = offset }

  /// Behind a record of `length` bytes that was just read here.
  public mutating func pass(_ record: MessageRecord) {
    offset += 1
    position += record.length
  }
}

/// What a read found.
public enum TopicRead {
  /// The message; good until the next turn of the loop.
  case record(MessageRecord)
  /// There was one, and damage has taken it: it is over for everybody. The record tells how to get past it.
  case lost(MessageRecord)
  /// It lies on disk and is being read; `chunkLoaded` says when to ask again.
  case loading
  /// Nothing there yet.
  case end
  /// Trimmed; the log begins later now.
  case trimmed
  /// Forgotten with its segment; the next offset that may be there.
  case forgotten(next: TopicOffset)
}

extension TopicLog {
  /// The record at the cursor. O(1) when reading on, O(records in a chunk) after a jump.
  public func read(_ cursor: inout TopicCursor) -> TopicRead {
    guard cursor.offset < nextOffset else { return .end }
    guard cursor.offset >= firstOffset else { return .trimmed }
    var place = cursor.chunk - chunksTrimmed
    if !chunks.indices.contains(place) || cursor.offset < chunks[place].firstOffset
      || cursor.offset >= chunks[place].endOffset
    {
      place = chunkPlace(of: cursor.offset)
      cursor.chunk = -1
    }
    if chunks[place].isForgotten { return .forgotten(next: chunks[place].endOffset) }
    chunks[place].wasUsed = true
    guard let memory = chunks[place].memory else {
      load(place)
      // Read ahead: a consumer of a long backlog would otherwise wait for the disk at every chunk.
      if place + 1 < chunks.count { load(place + 1) }
      if place + 2 < chunks.count { load(place + 2) }
      return .loading
    }
    if cursor.chunk != place + chunksTrimmed {
      cursor.chunk = place + chunksTrimmed
      cursor.position = 0
      for _ in chunks[place].firstOffset..<cursor.offset {
        cursor.position += MessageRecord(memory.base + cursor.position).length
      }
      if place + 1 < chunks.count { load(place + 1) }
      if place + 2 < chunks.count { load(place + 2) }
    }
    let record = MessageRecord(memory.base + cursor.position)
    precondition(record.sequence == cursor.offset, "topic \(topic): offset \(cursor.offset) is not where it should be")
    return record.isLost ? .lost(record) : .record(record)
  }

  /// The first offset released at or after `timeMs`; nil when the log must be read from disk first (ask again when
  /// `chunkLoaded` is called). O(log chunks + records in a chunk).
  public func offset(atOrAfterMs timeMs: UnixMs) -> TopicOffset? {
    var low = 0
    var high = chunks.count
    while low < high {
      let middle = (low + high) / 2
      if chunks[middle].firstReleasedMs < timeMs { low = middle + 1 } else { high = middle }
    }
    // The first message at or after `timeMs` may still lie in the chunk before the first one that starts at or after it.
    guard low > 0 else { return firstOffset }
    let chunk = chunks[low - 1]
    var cursor = TopicCursor(offset: chunk.firstOffset)
    while cursor.offset < chunk.endOffset {
      switch read(&cursor) {
      case .record(let record), .lost(let record):
        if record.stampMs >= timeMs { return cursor.offset }
        cursor.pass(record)
      case .loading: return nil
      case .end, .trimmed, .forgotten: return nextOffset
      }
    }
    return cursor.offset
  }

  func chunkPlace(of offset: TopicOffset) -> Int {
    var low = 0
    var high = chunks.count
    while low < high {
      let middle = (low + high) / 2
      if chunks[middle].firstOffset <= offset { low = middle + 1 } else { high = middle }
    }
    return low - 1
  }

  private func load(_ place: Int) {
    guard chunks[place].memory == nil, !chunks[place].isLoading, !chunks[place].isForgotten else { return }
    chunks[place].isLoading = true
    let path = segmentPath(chunks[place].segmentBase)
    io.submit(ChunkReadTask(self, path: path, chunks[place], number: place + chunksTrimmed), .read)
  }

  fileprivate func isGone(chunk number: Int) -> Bool {
    let place = number - chunksTrimmed
    return isDropped || !chunks.indices.contains(place) || chunks[place].isForgotten
  }

  fileprivate func loaded(_ number: Int, _ memory: Chunk) {
    let place = number - chunksTrimmed
    guard chunks.indices.contains(place), chunks[place].isLoading, !chunks[place].isForgotten else {
      // Trimmed or forgotten meanwhile: whoever waits has to look again.
      chunkLoaded?()
      return
    }
    chunks[place].isLoading = false
    chunks[place].memory = memory
    chunks[place].wasUsed = true
    cache.holds(self, chunk: number, bytes: memory.capacity)
    chunkLoaded?()
  }
}

/// Reads one chunk of a segment and checks every record of it.
private final class ChunkReadTask: IOTask, @unchecked Sendable {
  private let log: TopicLog
  private let path: String
  private let number: Int
  private let position: Int
  private let memory: Chunk

  init(_ log: TopicLog, path: String, _ chunk: LogChunk, number: Int) {
    self.log = log
    self.path = path
    self.number = number
    position = chunk.filePosition
    memory = Chunk(filePosition: chunk.filePosition, capacity: chunk.length)
  }

  override func run(_ files: OpenFiles) throws(StorageError) {
    let room = UnsafeMutableRawBufferPointer(start: memory.base, count: memory.capacity)
    let count = try files.storage.read(try files.file(path, create: false), at: position, into: room)
    var place = 0
    while place < count, let record = MessageRecord.validated(UnsafeRawBufferPointer(rebasing: room[place..<count])) {
      place += record.length
    }
    guard place == memory.capacity else {
      throw StorageError(
        kind: .damaged, operation: "read", path: path,
        reason: "the record at byte \(position + place) does not match its checksum")
    }
    memory.fill(to: place)
  }

  override func finished() { log.loaded(number, memory) }

  /// A chunk that was trimmed, or whose topic was deleted, may be gone before it is read: the lanes know nothing of each
  /// other, and a checkpoint removes files.
  override func canIgnoreFailure() -> Bool {
    guard log.isGone(chunk: number) else { return false }
    log.loaded(number, memory)
    return true
  }
}
