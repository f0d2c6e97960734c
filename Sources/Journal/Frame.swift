// The bytes of one record, and of the mark that begins each write.
//
//   offset  size  field
//        0     4  length of the whole frame, a multiple of 8
//        4     4  CRC-32C over the bytes from 8 to the end of the frame
//        8     8  sequence
//       16     1  kind; 0 is the batch mark, all others belong to the user of the journal
//       17     3  zero
//       20     4  length of the payload
//       24     …  payload, then zeroes up to the length of the frame
//
// All integers are little-endian. The sequence of a record is that of the record before plus one. A batch mark takes no
// sequence of its own: it carries that of the record behind it. Its payload (16 bytes): the highest sequence known durable
// when it was written, and the first half of the store's identity, so that nobody can plant one inside a payload.
//
// Holds: a frame is accepted only when length, payload length, reserved bytes and checksum agree.
// Leaves to others: which sequence is expected (recovery), what a payload means (the broker).

import Primitives

/// Layout of a record on disk.
public enum Frame {
  /// Bytes before the payload.
  public static let headerBytes = 24
  /// The longest payload.
  public static let payloadBytesMax = 16 << 20
  /// The kind of the batch mark.
  public static let batchKind: UInt8 = 0
  /// The length of a batch mark.
  public static let batchBytes = 40

  /// The length of the frame around a payload.
  @inlinable public static func bytes(payloadBytes: Int) -> Int { (headerBytes + payloadBytes + 7) & ~7 }

  /// Fills in the header of a frame whose payload and padding are in place.
  @inlinable
  static func seal(_ frame: UnsafeMutableRawPointer, bytes: Int, payloadBytes: Int, sequence: Sequence, kind: UInt8) {
    frame.storeBytes(of: UInt32(truncatingIfNeeded: bytes).littleEndian, as: UInt32.self)
    frame.storeBytes(of: sequence.littleEndian, toByteOffset: 8, as: UInt64.self)
    let kindAndLength = UInt64(kind) | UInt64(truncatingIfNeeded: payloadBytes) << 32
    frame.storeBytes(of: kindAndLength.littleEndian, toByteOffset: 16, as: UInt64.self)
    let checksum = CRC32C.checksum(UnsafeRawBufferPointer(start: frame + 8, count: bytes - 8))
    frame.storeBytes(of: checksum.littleEndian, toByteOffset: 4, as: UInt32.self)
  }

  /// Writes a batch mark.
  static func sealBatch(_ frame: UnsafeMutableRawPointer, sequence: Sequence, durable: Sequence, tag: UInt64) {
    frame.storeBytes(of: durable.littleEndian, toByteOffset: headerBytes, as: UInt64.self)
    frame.storeBytes(of: tag.littleEndian, toByteOffset: headerBytes + 8, as: UInt64.self)
    seal(frame, bytes: batchBytes, payloadBytes: batchBytes - headerBytes, sequence: sequence, kind: batchKind)
  }
}

/// A frame found whole in memory.
struct FoundFrame {
  let sequence: Sequence
  let kind: UInt8
  let bytes: Int
  let payload: UnsafeRawBufferPointer

  /// What lies at the start of `memory`.
  enum Outcome {
    case frame(FoundFrame)
    /// The frame claims to be longer than `memory`; `bytes` are needed to judge it.
    case incomplete(bytes: Int)
    case invalid
  }

  static func parse(_ memory: UnsafeRawBufferPointer) -> Outcome {
    guard memory.count >= Frame.headerBytes else { return .incomplete(bytes: Frame.headerBytes) }
    let bytes = Int(UInt32(littleEndian: memory.loadUnaligned(as: UInt32.self)))
    let payloadBytes = Int(UInt32(littleEndian: memory.loadUnaligned(fromByteOffset: 20, as: UInt32.self)))
    let kindAndReserved = UInt32(littleEndian: memory.loadUnaligned(fromByteOffset: 16, as: UInt32.self))
    guard payloadBytes <= Frame.payloadBytesMax, bytes == Frame.bytes(payloadBytes: payloadBytes),
      kindAndReserved <= 0xFF
    else { return .invalid }
    guard memory.count >= bytes else { return .incomplete(bytes: bytes) }
    let stored = UInt32(littleEndian: memory.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
    guard CRC32C.checksum(UnsafeRawBufferPointer(rebasing: memory[8..<bytes])) == stored else { return .invalid }
    let sequence = UInt64(littleEndian: memory.loadUnaligned(fromByteOffset: 8, as: UInt64.self))
    let payload = UnsafeRawBufferPointer(rebasing: memory[Frame.headerBytes..<Frame.headerBytes + payloadBytes])
    return .frame(FoundFrame(sequence: sequence, kind: UInt8(kindAndReserved), bytes: bytes, payload: payload))
  }

  /// The sequence that a batch mark of this store knew durable; nil when the frame is none.
  func durableSequence(tag: UInt64) -> Sequence? {
    guard kind == Frame.batchKind, bytes == Frame.batchBytes,
      UInt64(littleEndian: payload.loadUnaligned(fromByteOffset: 8, as: UInt64.self)) == tag
    else { return nil }
    return UInt64(littleEndian: payload.loadUnaligned(as: UInt64.self))
  }
}
