// The index file beside a sealed segment: what its chunks are, so that a start need not read the segment.
//
// Holds: it can be made again from the segment at any time, so it is never synced and a bad one is only slow, never wrong.
// Bytes: u32 CRC-32C of the rest, u32 number of chunks, then 32 bytes a chunk: u64 first offset, u32 records, u32 bytes,
// u64 file position, i64 release time of the first record. Little-endian.

import DataFiles
import Primitives

enum SegmentIndex {
  static let headerBytes = 8
  static let entryBytes = 32

  static func encode(_ chunks: [LogChunk]) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: headerBytes + entryBytes * chunks.count)
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

  /// The chunks, or nil when the bytes are not an index of a segment of `segmentLength` bytes that begins at `baseOffset`.
  static func decode(_ bytes: UnsafeRawBufferPointer, baseOffset: TopicOffset, segmentLength: Int) -> [LogChunk]? {
    guard bytes.count > headerBytes else { return nil }
    let checksum = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 0, as: UInt32.self))
    guard CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[4...])) == checksum else { return nil }
    let count = Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
    guard bytes.count == headerBytes + entryBytes * count else { return nil }
    var chunks: [LogChunk] = []
    var position = 0
    for place in 0..<count {
      let at = headerBytes + entryBytes * place
      let chunk = LogChunk(
        firstOffset: UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at, as: UInt64.self)),
        count: Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at + 8, as: UInt32.self))),
        filePosition: Int(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: at + 16, as: UInt64.self))),
        length: Int(UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: at + 12, as: UInt32.self))),
        firstReleasedMs: Int64(littleEndian: bytes.loadUnaligned(fromByteOffset: at + 24, as: Int64.self)),
        segmentBase: baseOffset)
      guard chunk.filePosition == position else { return nil }
      position += chunk.length
      chunks.append(chunk)
    }
    return position == segmentLength && chunks.first?.firstOffset == baseOffset ? chunks : nil
  }
}

final class SegmentIndexTask: IOTask, @unchecked Sendable {
  private let path: String
  private let bytes: [UInt8]

  init(path: String, chunks: [LogChunk]) {
    self.path = path
    bytes = SegmentIndex.encode(chunks)
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
