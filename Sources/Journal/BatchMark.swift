// The mark that begins each write of the journal: a frame (`DecisionLog/Frame.swift`) of kind 0, 40 bytes long, whose payload is
//
//   offset  size  field
//       24     8  the highest sequence known durable when it was written
//       32     8  the first half of the store's identity, so that nobody can plant a mark inside a payload
//
// Holds: a mark takes no sequence of its own: it carries that of the record behind it.
// Leaves to others: what recovery concludes from it (JournalReader).

import DecisionLog
import Primitives

/// Layout of a batch mark.
enum BatchMark {
  /// Its length: just what a buffer leaves free in front of its records.
  static let bytes = RecordBuffer.frontBytes

  /// Writes a mark.
  static func write(_ frame: UnsafeMutableRawPointer, sequence: Sequence, durable: Sequence, tag: UInt64) {
    frame.storeBytes(of: durable.littleEndian, toByteOffset: Frame.headerBytes, as: UInt64.self)
    frame.storeBytes(of: tag.littleEndian, toByteOffset: Frame.headerBytes + 8, as: UInt64.self)
    Frame.seal(
      frame, bytes: bytes, payloadBytes: bytes - Frame.headerBytes, sequence: sequence, kind: Frame.logKind)
  }

  /// The sequence that a mark of this store knew durable; nil when the frame is none.
  static func durableSequence(_ frame: FoundFrame, tag: UInt64) -> Sequence? {
    guard frame.kind == Frame.logKind, frame.bytes == bytes,
      UInt64(littleEndian: frame.payload.loadUnaligned(fromByteOffset: 8, as: UInt64.self)) == tag
    else { return nil }
    return UInt64(littleEndian: frame.payload.loadUnaligned(as: UInt64.self))
  }
}
