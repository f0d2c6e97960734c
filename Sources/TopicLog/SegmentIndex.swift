// The index file beside a sealed segment: what its chunks are, so that a start need not read the segment.
//
// Holds: it can be made again from the segment at any time, so it is never synced and a bad one is only slow, never wrong.
// Bytes: u32 CRC-32C of the rest, u32 number of chunks, then 32 bytes a chunk: u64 first offset, u32 records, u32 bytes,
// u64 file position, i64 release time of the first record. Where messages have other queues than 0: u32 number of these queues
// n, then n u64 for each chunk and once more for the end of the segment: how many messages of each queue from 1 on stand before it
// in the topic. Little-endian.

import DataFiles
import Primitives

enum SegmentIndex {
  static let headerBytes = 8
  static let entryBytes = 32

  /// - Parameter end: how many messages of each queue stand before the end of the segment.
  static func encode(_ chunks: [LogChunk], end: QueueCounts) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: headerBytes + entryBytes * chunks.count)
    if end.others.count > 0 {
      append(UInt32(end.others.count), to: &bytes)
      for counts in chunks.map(\.queueCounts) + [end] {
        for queue in 1...end.others.count { append(counts[UInt8(queue)], to: &bytes) }
      }
    }
    bytes.withUnsafeMutableBytes { raw in
      for (place, chunk) in chunks.enumerated() {
        let at = headerBytes + entryBytes * place
        raw.storeBytes(of: chunk.firstOffset.littleEndian, toByteOffset: at, as: UInt64.self)
        raw.storeBytes(of: UInt32(chunk.count).littleEndian, toByteOffset: at + 8, as: UInt32.self)
        raw.storeBytes(of: UInt32(chunk.length).littleEndian, toByteOffset: at + 12, as: UInt32.self)
        raw.storeBytes(of: UInt64(chunk.filePosition).littleEndian, toByteOffset: at + 16, as: UInt64.self)
        raw.storeBytes(of: chunk.firstReleasedMs.littleEndian, toByteOffset: at + 24, as: Int64.self)
      }
      raw.storeBytes(of: UInt32(chunks.count).littleEndian, toByteOffset: 4, as: UInt32.self)
      let checksum = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: raw[4...]))
      raw.storeBytes(of: checksum.littleEndian, toByteOffset: 0, as: UInt32.self)
    }
    return bytes
  }

  private static func append<T: FixedWidthInteger>(_ value: T, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  /// What a segment holds.
  struct Content {
    var chunks: [LogChunk] = []
    /// How many messages of each queue stand before its end.
    var end: QueueCounts
  }

  /// The chunks, or nil when the bytes are not an index of a segment of `segmentLength` bytes that begins at `baseOffset`.
  ///
  /// - Parameter start: how many messages of each queue stand before the segment.
  static func decode(
    _ bytes: UnsafeRawBufferPointer, baseOffset: TopicOffset, segmentLength: Int, start: QueueCounts
  ) -> Content? {
    guard bytes.count > headerBytes else { return nil }
    let checksum = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt32.self))
    guard CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[4...])) == checksum else { return nil }
    let count = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
    let tableAt = headerBytes + entryBytes * count
    guard bytes.count >= tableAt,
      let counts = queueCounts(UnsafeRawBufferPointer(rebasing: bytes[tableAt...]), count + 1, start)
    else { return nil }
    var content = Content(end: counts[count])
    var position = 0
    for place in 0..<count {
      let at = headerBytes + entryBytes * place
      let chunk = LogChunk(
        firstOffset: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)),
        count: Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at + 8, as: UInt32.self))),
        filePosition: Int(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at + 16, as: UInt64.self))),
        length: Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at + 12, as: UInt32.self))),
        firstReleasedMs: Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: at + 24, as: Int64.self)),
        segmentBase: baseOffset, queueCounts: counts[place])
      guard chunk.filePosition == position else { return nil }
      position += chunk.length
      content.chunks.append(chunk)
    }
    return position == segmentLength && content.chunks.first?.firstOffset == baseOffset ? content : nil
  }

  /// The counts before each of `places` places; nil when the table is none that begins with `start`.
  private static func queueCounts(
    _ table: UnsafeRawBufferPointer, _ places: Int, _ start: QueueCounts
  ) -> [QueueCounts]? {
    // Every message of the segment is of queue 0.
    if table.isEmpty { return Array(repeating: start, count: places) }
    guard table.count >= 4 else { return nil }
    let queues = Int(UInt32(littleEndian: table.loadUnaligned(as: UInt32.self)))
    guard 1...255 ~= queues, table.count == 4 + 8 * queues * places else { return nil }
    let all = (0..<places).map { place in
      QueueCounts(
        others: (0..<queues).map { queue in
          UInt64(littleEndian: table.loadUnaligned(fromByteOffset: 4 + 8 * (place * queues + queue), as: UInt64.self))
        })
    }
    return all[0].isSame(as: start) ? all : nil
  }
}

final class SegmentIndexTask: IOTask, @unchecked Sendable {
  private let path: String
  private let bytes: [UInt8]

  init(path: String, chunks: [LogChunk], end: QueueCounts) {
    self.path = path
    bytes = SegmentIndex.encode(chunks, end: end)
  }

  override func run(_ files: OpenFiles) throws(StorageError) {
    // Cut first: a longer index of an earlier life of this segment must not stick out behind.
    let file = try files.file(path, create: true)
    try files.storage.truncate(file, to: 0)
    var failure: StorageError?
    bytes.withUnsafeBytes { raw in
      do throws(StorageError) { try files.storage.write(file, at: 0, raw) } catch { failure = error }
    }
    if let failure { throw failure }
    files.forget(path)
  }
}
