// The file `delay/pending.index`: where each far message was when the server stopped, so that the next start reads this file and
// no slice ahead of the hand. It goes with one checkpoint, and without it a start reads the slices.
//
// Holds: it never has to be there or to be whole: blocks are bound to the checkpoint, to their place and to their bytes by a checksum,
// and a file that does not fit is not used. So it is written without sync. Bytes, little-endian: blocks of u32 length, u32 checksum,
// payload; the checksum is the CRC-32C of u64 sequence and u64 checksum of the checkpoint, u64 number of the block, u64 CRC-32C of the
// payload.
//   first block: u64 entries in the file, u32 slices of the checkpoint, u32 topics, for each u32 number, u64 pending, u64 their bytes
//   others: for some shards u32 number, u32 count, entries (`PendingIndex`); slices are numbered as in the checkpoint
// Leaves to others: the messages that are near, whose slices a start reads in any case.

import DataFiles
import Primitives

/// Names the checkpoint with which an index file goes.
public struct IndexStamp: Equatable, Sendable {
  /// The last record of the checkpoint.
  public var sequence: UInt64
  /// The checksum of its file.
  public var checksum: UInt32

  /// Puts them together.
  public init(sequence: UInt64, checksum: UInt32) {
    self.sequence = sequence
    self.checksum = checksum
  }
}

/// How much is pending in a topic.
public struct PendingCount: Equatable, Sendable {
  /// The number of the topic.
  public var topic: UInt32
  /// Its pending messages, near and far.
  public var messages: Int
  /// Bytes of their records.
  public var bytes: Int

  /// Puts them together.
  public init(topic: UInt32, messages: Int, bytes: Int) {
    self.topic = topic
    self.messages = messages
    self.bytes = bytes
  }
}

/// What is common to writing and reading it.
public enum IndexFile {
  /// Where it is in the data folder.
  public static let path = "delay/pending.index"
  static let blockHeaderBytes = 8
  /// A block ends with the shard in which it has so many.
  public static let blockBytes = 512 << 10
  /// No block has more: it holds a shard of three million entries.
  static let blockBytesMax = 64 << 20
  static let shardHeaderBytes = 8

  static func checksum(_ stamp: IndexStamp, block: Int, _ payload: UnsafeRawBufferPointer) -> UInt32 {
    var bound = (
      stamp.sequence.littleEndian, UInt64(stamp.checksum).littleEndian, UInt64(block).littleEndian,
      UInt64(CRC32C.checksum(payload)).littleEndian
    )
    return withUnsafeBytes(of: &bound) { CRC32C.checksum($0) }
  }
}

extension DelayStore {
  /// Writes the index file of a checkpoint since which nothing has changed. O(slots); 20 bytes for each far message.
  ///
  /// - Parameters:
  ///   - counts: what is pending in each topic, near and far.
  ///   - sliceBytesMin: not when fewer bytes of slices lie ahead of the hand.
  ///   - bytesMax: not when it would have more bytes.
  public func writeIndexFile(
    _ stamp: IndexStamp, counts: [PendingCount], sliceBytesMin: Int = 0, bytesMax: Int = .max,
    blockBytes: Int = IndexFile.blockBytes, storage: any Storage
  ) throws(StorageError) {
    let farBytes = slices.values.reduce(0) { $0 + ($1.phase == .ahead ? $1.file.length : 0) }
    let estimate = (onDiskCount + counts.count) * PendingIndex.entryBytes + 64 * PendingIndex.shardCount
    guard onDiskCount > 0, farBytes >= sliceBytesMin, estimate <= bytesMax else { return }
    var numbers = [UInt32?](repeating: nil, count: sliceByNumber.count)
    var entryCount = 0
    let slices = inOrder
    for (ordinal, slice) in slices.enumerated() where slice.phase == .ahead {
      numbers[Int(slice.number)] = UInt32(ordinal)
      entryCount += slice.onDiskCount
    }
    let file = try storage.open(IndexFile.path, create: true)
    defer { storage.close(file) }
    try storage.truncate(file, to: 0)
    var writer = IndexWriter(storage, file, stamp)
    writer.append(UInt64(entryCount))
    writer.append(UInt32(slices.count))
    writer.append(UInt32(counts.count))
    for count in counts {
      writer.append(count.topic)
      writer.append(UInt64(count.messages))
      writer.append(UInt64(count.bytes))
    }
    try writer.endBlock()
    for shard in 0..<PendingIndex.shardCount where index.count(ofShard: shard) > 0 {
      writer.append(index, shard: shard, numbers: numbers)
      if writer.payloadBytes >= blockBytes { try writer.endBlock() }
    }
    try writer.endBlock()
  }

  /// Reads the index file of a checkpoint whose slices have been taken over; gives what is pending in each topic. Nil, with the index
  /// empty as before, when there is none or it does not fit. 10 ns for each far message.
  func loadIndexFile(_ stamp: IndexStamp, storage: any Storage) -> [PendingCount]? {
    guard let counts = try? readIndexFile(stamp, storage) else {
      index.removeAll()
      for slice in slices.values { slice.onDiskCount = 0 }
      return nil
    }
    onDiskCount = index.count
    return counts
  }

  private func readIndexFile(_ stamp: IndexStamp, _ storage: any Storage) throws -> [PendingCount]? {
    let file = try storage.open(IndexFile.path, create: false)
    defer { storage.close(file) }
    var reader = IndexReader(storage, file, stamp)
    guard try reader.nextBlock(), let entryCount = reader.take(UInt64.self),
      let sliceCount = reader.take(UInt32.self), Int(sliceCount) == slices.count,
      let topicCount = reader.take(UInt32.self)
    else { return nil }
    var counts: [PendingCount] = []
    for _ in 0..<topicCount {
      guard let topic = reader.take(UInt32.self), let messages = reader.take(UInt64.self),
        let bytes = reader.take(UInt64.self)
      else { return nil }
      guard let messages = Int(exactly: messages), let bytes = Int(exactly: bytes) else { return nil }
      counts.append(PendingCount(topic: topic, messages: messages, bytes: bytes))
    }
    while try reader.nextBlock() {
      while !reader.isAtEndOfBlock { guard loadShard(&reader) else { return nil } }
    }
    return UInt64(index.count) == entryCount ? counts : nil
  }

  private func loadShard(_ reader: inout IndexReader) -> Bool {
    guard let shard = reader.take(UInt32.self), let count = reader.take(UInt32.self),
      let entries = reader.take(bytes: Int(count) * PendingIndex.entryBytes)
    else { return false }
    return index.load(shard: Int(shard), from: entries) { number, position in
      guard Int(number) < sliceByNumber.count, let slice = sliceByNumber[Int(number)], slice.phase == .ahead,
        position < slice.file.length
      else { return false }
      slice.onDiskCount += 1
      return true
    }
  }
}
