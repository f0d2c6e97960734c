// A file that only grows, with its tail in memory: topic segments, slices and files of recent outcomes are such files.
//
// Holds: `writtenLength` ≤ `submittedLength` ≤ `length`; bytes below `submittedLength` never change, so an I/O thread may
// read them from the chunk while the loop appends behind them; a record never spans two chunks.
// Leaves to others: what the bytes are, durability (the journal has them until a checkpoint has synced this file).
//
// No exclusivity checks on what every message touches: one thread owns it, and the checks took 13 % of a burst's time.

import Primitives

/// A block of memory that holds a stretch of a file.
public final class Chunk: @unchecked Sendable {
  /// The bytes. Only the first `used` mean something.
  public let base: UnsafeMutableRawPointer
  /// Bytes allocated.
  public let capacity: Int
  /// Where in the file the first byte stands.
  public let filePosition: Int
  /// Bytes filled, from the start; the loop thread's.
  @exclusivity(unchecked) public internal(set) var used: Int

  /// An empty block for the file from `filePosition` on.
  public init(filePosition: Int, capacity: Int) {
    self.filePosition = filePosition
    self.capacity = capacity
    base = UnsafeMutableRawPointer.allocate(byteCount: max(capacity, 8), alignment: 16)
    used = 0
  }

  /// Marks all of the block as filled: for one that was read from the file.
  public func fill(to count: Int) {
    precondition(count <= capacity, "a chunk holds more than it can")
    used = count
  }

  deinit { base.deallocate() }

  /// The file position behind the last filled byte.
  public var endPosition: Int { filePosition + used }
}

/// A growing file and the part of it that is still in memory only.
public final class AppendFile {
  /// Where it is, relative to the data folder.
  public let path: String
  /// Bytes in the file, counting those still in memory.
  @exclusivity(unchecked) public private(set) var length: Int
  /// Bytes that an I/O thread has written, from the start without a gap.
  @exclusivity(unchecked) public private(set) var writtenLength: Int
  /// The chunk that takes the next record.
  @exclusivity(unchecked) public private(set) var tail: Chunk?

  @exclusivity(unchecked) private var submittedLength: Int
  private var checkpointedLength: Int
  @exclusivity(unchecked) private var unwritten: [Chunk] = []
  private let chunkBytesMax: Int
  private let io: any IOQueue

  /// A file of which `length` bytes are on disk already (0: a new one).
  public init(path: String, length: Int, chunkBytesMax: Int, io: any IOQueue) {
    self.path = path
    self.length = length
    self.chunkBytesMax = chunkBytesMax
    self.io = io
    writtenLength = length
    submittedLength = length
    checkpointedLength = length
  }

  /// Makes room for `count` bytes at the end; gives where to put them. The bytes must be filled in before the next call of
  /// anything here. Amortised O(1).
  public func append(_ count: Int) -> UnsafeMutableRawPointer {
    if let chunk = tail, chunk.capacity - chunk.used >= count { return extend(chunk, count) }
    flush()
    // From 4 KiB up by doubling: ten thousand quiet topics must not cost ten thousand full chunks.
    let wanted = min(chunkBytesMax, max(4096, (tail?.capacity ?? 2048) * 2))
    let chunk = Chunk(filePosition: length, capacity: max(wanted, count))
    tail = chunk
    unwritten.append(chunk)
    return extend(chunk, count)
  }

  private func extend(_ chunk: Chunk, _ count: Int) -> UnsafeMutableRawPointer {
    let place = chunk.base + chunk.used
    chunk.used += count
    length += count
    return place
  }

  /// Hands everything that is in memory only to the write lane.
  public func flush() {
    for chunk in unwritten where chunk.endPosition > submittedLength {
      let from = max(submittedLength, chunk.filePosition)
      submittedLength = chunk.endPosition
      io.submit(AppendTask(self, chunk, from: from, to: chunk.endPosition), .write)
    }
  }

  /// Hands everything to the write lane for a checkpoint and adds the path to `unsynced` if the file has grown since the
  /// checkpoint before; gives the length that the checkpoint is to name.
  public func checkpoint(unsynced: inout [String]) -> Int {
    flush()
    if checkpointedLength < length { unsynced.append(path) }
    checkpointedLength = length
    return length
  }

  /// Drops the tail chunk from use, so that the next record starts a new one: for a file that is complete.
  public func seal() {
    flush()
    tail = nil
  }

  /// The bytes at `position` if they are still held here because they are not written yet, else nil.
  public func unwrittenBytes(at position: Int, count: Int) -> UnsafeRawBufferPointer? {
    for chunk in unwritten where position >= chunk.filePosition && position + count <= chunk.endPosition {
      return UnsafeRawBufferPointer(start: chunk.base + (position - chunk.filePosition), count: count)
    }
    return nil
  }

  fileprivate func written(to position: Int) {
    // The tasks of one lane end in order, so this is always the next stretch.
    precondition(position > writtenLength && position <= submittedLength, "writes of \(path) came back out of order")
    writtenLength = position
    // The tail stays listed while it can still grow: its next bytes are unwritten again.
    unwritten.removeAll { $0.endPosition <= position && $0 !== tail }
  }
}

/// Writes one stretch of a chunk to its file.
final class AppendTask: IOTask, @unchecked Sendable {
  private let file: AppendFile
  private let chunk: Chunk
  private let path: String
  private let from: Int
  private let to: Int

  init(_ file: AppendFile, _ chunk: Chunk, from: Int, to: Int) {
    self.file = file
    self.chunk = chunk
    self.path = file.path
    self.from = from
    self.to = to
  }

  override func run(_ files: OpenFiles) throws(StorageError) {
    let bytes = UnsafeRawBufferPointer(start: chunk.base + (from - chunk.filePosition), count: to - from)
    try files.storage.write(try files.file(path, create: true), at: from, bytes)
  }

  override func finished() { file.written(to: to) }
}
