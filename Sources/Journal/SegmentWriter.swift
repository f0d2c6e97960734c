// Writing segments, one call after the other: no threads, no clock. The simulator drives it directly.
//
// Holds:
//   - a segment is whole and durable before the first record goes into the next one, so only the last can have a torn tail;
//   - a segment gets its name only after its header and its zeroed (or recycled) blocks are durable, and is written to only
//     after the name is durable;
//   - records in a recycled segment have sequences below its first one, so they can never be taken for new ones;
//   - what a recovery read is copied to a new file and read back before it counts.
// Leaves to others: threads and when to sync (JournalLog), which records are still needed (whoever makes checkpoints), what
// to do about an error: no call may follow one that threw, except `prepareStep` after a full disk.

import DecisionLog
import Primitives

/// Appends batches of records to the journal.
public final class SegmentWriter {
  /// The least and the default length of a segment in bytes.
  public static let segmentBytesMin = 8192
  /// The default length of a segment in bytes.
  public static let segmentBytesDefault = 64 << 20
  // Zeroing in steps of this size is what a commit may have to wait for: with 1 MiB the slowest of a hundred commits took
  // 1.2 to 4.6 ms while a segment was being made ready, with 256 KiB 0.8 ms.
  static let fillBytes = 1 << 18

  enum Spare {
    case none
    case filling(FileID, done: Int)
    case ready(FileID, name: String)
  }

  // A steady load between two checkpoints of some hundred MiB then never zeroes a file again.
  static let recycledSegmentsMax = 4

  let storage: any Storage
  let folder: String
  let store: StoreID
  let segmentBytes: Int
  let block: UnsafeMutableRawBufferPointer
  var spare = Spare.none
  /// Obsolete segments kept as later spares.
  var recycled: [(file: FileID, name: String)] = []
  /// First sequences of the segments there are; the last is written to.
  var segments: [Sequence]
  var current = FileID(rawValue: -1)
  var offset = 0
  private var isDirty = false

  /// The last record written; 0 when there has been none.
  public private(set) var writtenSequence: Sequence
  /// The last record known to be durable.
  public private(set) var durableSequence: Sequence
  /// Bytes written to segments, marks included.
  public private(set) var bytesWritten = 0

  /// Goes on where a recovery ended: makes its valid part durable, and begins a fresh segment.
  ///
  /// - Parameters:
  ///   - recovered: what `JournalReader.recover` gave for this folder, with nothing done to it since.
  ///   - segmentBytes: length of the segments to be made; a multiple of 4096, at least `segmentBytesMin`.
  /// - Throws: `.storage` with `.diskFull` when there is no room for a segment.
  public init(
    storage: any Storage, folder: String = "journal", store: StoreID, recovered: RecoveredJournal,
    segmentBytes: Int = SegmentWriter.segmentBytesDefault
  ) throws(JournalError) {
    precondition(segmentBytes >= Self.segmentBytesMin && segmentBytes % 4096 == 0, "a segment is made of whole blocks")
    self.storage = storage
    self.folder = folder
    self.store = store
    self.segmentBytes = segmentBytes
    segments = recovered.segments
    writtenSequence = recovered.nextSequence - 1
    durableSequence = recovered.nextSequence - 1
    block = .allocate(byteCount: Self.fillBytes, alignment: 4096)
    block.initializeMemory(as: UInt8.self, repeating: 0)
    do throws(StorageError) {
      try storage.makeDirectory(folder)
      try storage.syncDirectory("")
      for name in try storage.list(folder) where name.hasSuffix(".tmp") { try storage.remove(path(name)) }
    } catch { throw .storage(error) }
    try adoptLastSegment(recovered)
    do throws(StorageError) {
      while try prepareStep() {}
      try useSpare()
    } catch { throw .storage(error) }
  }

  deinit {
    block.deallocate()
    if current.rawValue >= 0 { storage.close(current) }
    switch spare {
    case .none: break
    case .filling(let file, _), .ready(let file, _): storage.close(file)
    }
    for (file, _) in recycled { storage.close(file) }
  }

  func path(_ name: String) -> String { "\(folder)/\(name)" }

  /// Whether there are written records that are not known to be durable.
  public var needsSync: Bool { isDirty }

  /// Bytes that can be written before more disk space is needed.
  public var reservedBytes: Int {
    let rest = max(0, segmentBytes - offset - RecordBuffer.endBytes)
    var ready = recycled.count
    if case .ready = spare { ready += 1 }
    return rest + ready * (segmentBytes - SegmentHeader.bytes - RecordBuffer.endBytes)
  }

  /// Writes the records of a buffer that begins where the last one ended. They are durable only after `sync`.
  ///
  /// Changes to the next segment when this one has no room. A batch longer than a whole segment makes its segment longer.
  public func write(_ buffer: RecordBuffer) throws(StorageError) {
    precondition(buffer.firstSequence == writtenSequence + 1, "records are written in order, none left out")
    guard !buffer.isEmpty else { return }
    let bytes = buffer.bytesToWrite()
    if offset + bytes.count > segmentBytes && offset > SegmentHeader.bytes { try changeSegment() }
    BatchMark.write(bytes.baseAddress!, sequence: buffer.firstSequence, durable: durableSequence, tag: store.low)
    try storage.write(current, at: offset, UnsafeRawBufferPointer(bytes))
    isDirty = true
    writtenSequence = buffer.lastSequence
    offset += buffer.byteCount
    bytesWritten += buffer.byteCount
  }

  /// Makes everything written durable.
  public func sync() throws(StorageError) {
    guard isDirty else { return }
    try storage.sync(current)
    isDirty = false
    durableSequence = writtenSequence
  }

  /// Syncs, and writes a last mark that says so: damage to any record is then found at the next start.
  public func close() throws(StorageError) {
    try sync()
    let bytes = BatchMark.bytes + RecordBuffer.endBytes
    guard offset + bytes <= segmentBytes, offset > SegmentHeader.bytes else { return }
    try withUnsafeTemporaryAllocation(byteCount: bytes, alignment: 8) { memory throws(StorageError) in
      memory.initializeMemory(as: UInt8.self, repeating: 0)
      BatchMark.write(
        memory.baseAddress!, sequence: writtenSequence + 1, durable: durableSequence, tag: store.low)
      try storage.write(current, at: offset, UnsafeRawBufferPointer(memory))
    }
    try storage.sync(current)
    offset += BatchMark.bytes
  }

  private func changeSegment() throws(StorageError) {
    try sync()
    while try prepareStep() {}
    try useSpare()
  }
}
