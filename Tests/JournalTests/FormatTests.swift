// The bytes of format version 1, frozen: files written by this version stay readable, and are written the same.

import DecisionLog
import Journal
import Primitives
import SimulatedDisk
import Testing

@Suite struct FormatTests {
  /// Bytes 0 to 47 of the segment: magic, version, checksum, first sequence, store, length.
  private static let header = """
    455343415057414c 01000000bb2b7f50 0100000000000000
    8877665544332211 00ffeeddccbbaa99 0020000000000000
    """

  /// Bytes from 4096 on: a batch mark, records 1 and 2, a batch mark, record 3.
  private static let frames = """
    280000003ee54dee 0100000000000000 0000000010000000
    0000000000000000 8877665544332211 1800000033ea40f9
    0100000000000000 0100000000000000 28000000040720da
    0200000000000000 ff0000000a000000 6573636170656d65
    6e74000000000000 28000000a529f474 0300000000000000
    0000000010000000 0200000000000000 8877665544332211
    280000004e3163a8 0300000000000000 1000000010000000
    0001020304050607 08090a0b0c0d0e0f 0000000000000000
    0000000000000000 0000000000000000
    """

  private static let records = [
    Record(sequence: 1, kind: 1, payload: []),
    Record(sequence: 2, kind: 255, payload: Array("escapement".utf8)),
    Record(sequence: 3, kind: 16, payload: Array(0...15)),
  ]

  private static func bytes(_ hex: String) -> [UInt8] {
    hex.split { $0.isWhitespace }.flatMap { word in
      stride(from: 0, to: word.count, by: 2).map { index in
        let start = word.index(word.startIndex, offsetBy: index)
        return UInt8(word[start..<word.index(start, offsetBy: 2)], radix: 16)!
      }
    }
  }

  private static func segment() -> [UInt8] {
    var segment = [UInt8](repeating: 0, count: 8192)
    segment.replaceSubrange(0..<48, with: bytes(header))
    let frames = bytes(frames)
    segment.replaceSubrange(4096..<4096 + frames.count, with: frames)
    return segment
  }

  @Test("a segment of version 1 is read")
  func read() throws {
    let storage = SimulatedStorage()
    storage.place("journal/0000000000000001.wal", Self.segment())
    let (records, report) = try recover(storage)
    #expect(records == Self.records && report.tornTail == nil && report.nextSequence == 4)
  }

  @Test("a segment of version 1 is written")
  func write() throws {
    let storage = SimulatedStorage()
    let writer = try SegmentWriter(
      storage: storage, store: store, recovered: recover(storage).report, segmentBytes: 8192)
    let buffer = RecordBuffer()
    for batch in [Self.records[0...1], Self.records[2...2]] {
      buffer.reset(nextSequence: batch.first!.sequence)
      for record in batch { buffer.append(record) }
      try writer.write(buffer)
      try writer.sync()
    }
    #expect(storage.contents("journal/0000000000000001.wal") == Self.segment())
  }
}
