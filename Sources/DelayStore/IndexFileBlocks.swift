// Writing and reading the blocks of the index file, as `IndexFile` lays them out.
//
// Holds: nothing of a block is given away before its checksum was compared.
// Leaves to others: what stands in which block (IndexFile).

import DataFiles
import Primitives

/// Puts blocks together and writes them.
struct IndexWriter {
  private let storage: any Storage
  private let file: FileID
  private let stamp: IndexStamp
  private var block = 0
  private var position = 0
  private var buffer: Chunk
  private var end = IndexFile.blockHeaderBytes

  init(_ storage: any Storage, _ file: FileID, _ stamp: IndexStamp) {
    self.storage = storage
    self.file = file
    self.stamp = stamp
    buffer = Chunk(filePosition: 0, capacity: 4096)
  }

  var payloadBytes: Int { end - IndexFile.blockHeaderBytes }

  mutating func append<Number: FixedWidthInteger>(_ number: Number) {
    makeRoom(MemoryLayout<Number>.size)
    buffer.base.storeBytes(of: number.littleEndian, toByteOffset: end, as: Number.self)
    end += MemoryLayout<Number>.size
  }

  /// Appends a shard, unless it has no far message.
  mutating func append(_ index: PendingIndex, shard: Int, numbers: [UInt32?]) {
    makeRoom(IndexFile.shardHeaderBytes + index.count(ofShard: shard) * PendingIndex.entryBytes)
    let count = index.write(shard: shard, to: buffer.base + end + IndexFile.shardHeaderBytes, numbers: numbers)
    guard count > 0 else { return }
    append(UInt32(shard))
    append(UInt32(count))
    end += count * PendingIndex.entryBytes
  }

  private mutating func makeRoom(_ count: Int) {
    guard end + count > buffer.capacity else { return }
    let larger = Chunk(filePosition: 0, capacity: max(2 * buffer.capacity, end + count))
    larger.base.copyMemory(from: buffer.base, byteCount: end)
    buffer = larger
  }

  mutating func endBlock() throws(StorageError) {
    guard payloadBytes > 0 else { return }
    let payload = UnsafeRawBufferPointer(start: buffer.base + IndexFile.blockHeaderBytes, count: payloadBytes)
    buffer.base.storeBytes(of: UInt32(payloadBytes).littleEndian, as: UInt32.self)
    let checksum = IndexFile.checksum(stamp, block: block, payload)
    buffer.base.storeBytes(of: checksum.littleEndian, toByteOffset: 4, as: UInt32.self)
    try storage.write(file, at: position, UnsafeRawBufferPointer(start: buffer.base, count: end))
    position += end
    block += 1
    end = IndexFile.blockHeaderBytes
  }
}

/// Reads blocks and takes them apart.
struct IndexReader {
  private let storage: any Storage
  private let file: FileID
  private let stamp: IndexStamp
  private var block = 0
  private var position = 0
  private var buffer = Chunk(filePosition: 0, capacity: IndexFile.blockBytes)
  private var rest = UnsafeRawBufferPointer(start: nil, count: 0)

  init(_ storage: any Storage, _ file: FileID, _ stamp: IndexStamp) {
    self.storage = storage
    self.file = file
    self.stamp = stamp
  }

  var isAtEndOfBlock: Bool { rest.isEmpty }

  /// Reads the next block; false at the end of the file.
  mutating func nextBlock() throws -> Bool {
    let headerBytes = IndexFile.blockHeaderBytes
    let size = try storage.size(file)
    if position == size { return false }
    guard position + headerBytes <= size else { throw Misfit() }
    _ = try storage.read(
      file, at: position, into: UnsafeMutableRawBufferPointer(start: buffer.base, count: headerBytes))
    let length = Int(UInt32(littleEndian: buffer.base.load(as: UInt32.self)))
    let checksum = UInt32(littleEndian: buffer.base.load(fromByteOffset: 4, as: UInt32.self))
    guard (1...IndexFile.blockBytesMax).contains(length), position + headerBytes + length <= size else {
      throw Misfit()
    }
    if buffer.capacity < length { buffer = Chunk(filePosition: 0, capacity: length) }
    let room = UnsafeMutableRawBufferPointer(start: buffer.base, count: length)
    guard try storage.read(file, at: position + headerBytes, into: room) == length,
      IndexFile.checksum(stamp, block: block, UnsafeRawBufferPointer(room)) == checksum
    else { throw Misfit() }
    rest = UnsafeRawBufferPointer(room)
    position += headerBytes + length
    block += 1
    return true
  }

  mutating func take<Number: FixedWidthInteger>(_ type: Number.Type) -> Number? {
    take(bytes: MemoryLayout<Number>.size).map { Number(littleEndian: $0.loadUnaligned(as: Number.self)) }
  }

  mutating func take(bytes count: Int) -> UnsafeRawBufferPointer? {
    guard rest.count >= count else { return nil }
    defer { rest = UnsafeRawBufferPointer(rebasing: rest[count...]) }
    return UnsafeRawBufferPointer(rebasing: rest[..<count])
  }

  private struct Misfit: Error {}
}
