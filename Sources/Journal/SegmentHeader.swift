// The first 4096 bytes of a segment, and the names of segments.
//
//   offset  size  field
//        0     8  magic "ESCAPWAL"
//        8     4  format version, 1
//       12     4  CRC-32C over the bytes 0 to 11 and 16 to 47
//       16     8  sequence of the first record
//       24    16  identity of the store
//       40     8  length of the file when it was made; it never gets shorter, so a cut file shows
//       48  4048  zero
//
// Frames begin at 4096. Behind the last frame of each write lie 8 zero bytes, which the next write overwrites.
//
// Holds: a segment is named for its first sequence, `<16 hex digits>.wal`; any other name in the folder is a file in the
// making that a start may remove.

import Primitives

/// What a segment says about itself.
struct SegmentHeader: Equatable {
  static let bytes = 4096
  static let version: UInt32 = 1
  static let magic: UInt64 = 0x4C41_5750_4143_5345  // "ESCAPWAL" read as little-endian

  var firstSequence: Sequence
  var store: StoreID
  /// The least length of the file.
  var fileBytes: Int

  /// Writes it into 4096 bytes.
  func write(into block: UnsafeMutableRawBufferPointer) {
    precondition(block.count >= Self.bytes, "a header fills its block")
    block.baseAddress!.initializeMemory(as: UInt8.self, repeating: 0, count: Self.bytes)
    block.storeBytes(of: Self.magic.littleEndian, as: UInt64.self)
    block.storeBytes(of: Self.version.littleEndian, toByteOffset: 8, as: UInt32.self)
    block.storeBytes(of: firstSequence.littleEndian, toByteOffset: 16, as: UInt64.self)
    block.storeBytes(of: store.low.littleEndian, toByteOffset: 24, as: UInt64.self)
    block.storeBytes(of: store.high.littleEndian, toByteOffset: 32, as: UInt64.self)
    block.storeBytes(of: UInt64(fileBytes).littleEndian, toByteOffset: 40, as: UInt64.self)
    let checksum = Self.checksum(UnsafeRawBufferPointer(block))
    block.storeBytes(of: checksum.littleEndian, toByteOffset: 12, as: UInt32.self)
  }

  /// Reads it from the start of a file; `file` is for errors.
  static func read(from block: UnsafeRawBufferPointer, file: String) throws(JournalError) -> SegmentHeader {
    guard block.count >= bytes else {
      throw .damaged(file: file, offset: 0, reason: "the file ends inside its header")
    }
    guard UInt64(littleEndian: block.load(as: UInt64.self)) == magic else {
      throw .damaged(file: file, offset: 0, reason: "this is no journal segment (wrong magic)")
    }
    guard UInt32(littleEndian: block.load(fromByteOffset: 12, as: UInt32.self)) == checksum(block) else {
      throw .damaged(file: file, offset: 12, reason: "the checksum of the header does not match")
    }
    let found = UInt32(littleEndian: block.load(fromByteOffset: 8, as: UInt32.self))
    guard found == version else { throw .unknownVersion(file: file, version: found) }
    func word(_ offset: Int) -> UInt64 { UInt64(littleEndian: block.load(fromByteOffset: offset, as: UInt64.self)) }
    let store = StoreID(low: word(24), high: word(32))
    return SegmentHeader(firstSequence: word(16), store: store, fileBytes: Int(clamping: word(40)))
  }

  private static func checksum(_ block: UnsafeRawBufferPointer) -> UInt32 {
    withUnsafeTemporaryAllocation(byteCount: 44, alignment: 8) { covered in
      covered.copyMemory(from: UnsafeRawBufferPointer(rebasing: block[0..<12]))
      UnsafeMutableRawBufferPointer(rebasing: covered[12...]).copyMemory(
        from: UnsafeRawBufferPointer(rebasing: block[16..<48]))
      return CRC32C.checksum(UnsafeRawBufferPointer(covered))
    }
  }
}

/// Facts about segments, and names in the journal's folder.
enum Segment {
  /// The segment being made ready for later.
  static let spare = "spare.tmp"
  /// A copy of the last segment in the making.
  static let copy = "copy.tmp"

  /// An obsolete segment kept for reuse.
  static func recycled(first: Sequence) -> String { "recycled-\(first).tmp" }

  static func name(first: Sequence) -> String {
    let digits = String(first, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits + ".wal"
  }

  /// The first sequence a segment is named for; nil when the name is none of a segment.
  static func first(of name: String) -> Sequence? {
    guard name.hasSuffix(".wal") else { return nil }
    let digits = name.dropLast(4)
    guard digits.utf8.count == 16, let first = Sequence(digits, radix: 16), self.name(first: first) == name,
      first > 0, first < 1 << 62
    else { return nil }
    return first
  }
}
