// The bytes of one record, the same in every log.
//
//   offset  size  field
//        0     4  length of the whole frame, a multiple of 8
//        4     4  CRC-32C over the bytes from 8 to the end of the frame
//        8     8  sequence
//       16     1  kind; 0 is for frames of the log's own, all others belong to the user of the log
//       17     3  zero
//       20     4  length of the payload
//       24     …  payload, then zeroes up to the length of the frame
//
// All integers are little-endian. The sequence of a record is that of the record before plus one.
//
// Holds: a frame is accepted only when length, payload length, reserved bytes and checksum agree.
// Leaves to others: which sequence is expected and what frames of kind 0 say (each log), what a payload means (the broker).

import Primitives

/// Layout of a record.
///
/// The constants are inlinable: every append uses them, in another module.
public enum Frame {
  /// Bytes before the payload.
  @inlinable public static var headerBytes: Int { 24 }
  /// The longest payload: a message of 16 MiB and what it may gather on its way.
  @inlinable public static var payloadBytesMax: Int { 20 << 20 }
  /// The kind of frames that a log writes for itself.
  @inlinable public static var logKind: UInt8 { 0 }

  /// The length of the frame around a payload.
  @inlinable public static func bytes(payloadBytes: Int) -> Int { (headerBytes + payloadBytes + 7) & ~7 }

  /// Fills in the header of a frame whose payload and padding are in place.
  @inlinable
  public static func seal(
    _ frame: UnsafeMutableRawPointer, bytes: Int, payloadBytes: Int, sequence: Sequence, kind: UInt8
  ) {
    frame.storeBytes(of: UInt32(truncatingIfNeeded: bytes).littleEndian, as: UInt32.self)
    frame.storeBytes(of: sequence.littleEndian, toByteOffset: 8, as: UInt64.self)
    let kindAndLength = UInt64(kind) | UInt64(truncatingIfNeeded: payloadBytes) << 32
    frame.storeBytes(of: kindAndLength.littleEndian, toByteOffset: 16, as: UInt64.self)
    let checksum = CRC32C.checksum(UnsafeRawBufferPointer(start: frame + 8, count: bytes - 8))
    frame.storeBytes(of: checksum.littleEndian, toByteOffset: 4, as: UInt32.self)
  }
}

/// A frame found whole in memory.
public struct FoundFrame {
  /// Its sequence.
  public let sequence: Sequence
  /// Its kind.
  public let kind: UInt8
  /// The length of the whole frame.
  public let bytes: Int
  /// The payload, in the memory where it was found.
  public let payload: UnsafeRawBufferPointer

  /// What lies at the start of `memory`.
  public enum Outcome {
    /// A whole frame with a good checksum.
    case frame(FoundFrame)
    /// The frame claims to be longer than `memory`; `bytes` are needed to judge it.
    case incomplete(bytes: Int)
    /// No frame.
    case invalid
  }

  /// Looks for a frame at the start of `memory`. O(length of the frame).
  public static func parse(_ memory: UnsafeRawBufferPointer) -> Outcome {
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
}
