// What the tests write, and what they must read again.

import DecisionLog
import Primitives
import SimulatedDisk
import Testing

@testable import Journal

/// One record as it was given or read.
struct Record: Equatable, Sendable {
  var sequence: Sequence
  var kind: UInt8
  var payload: [UInt8]
}

let store = StoreID(low: 0x1122_3344_5566_7788, high: 0x99AA_BBCC_DDEE_FF00)

/// A random record; `lifetime` makes records with the same sequence differ.
func randomRecord(_ sequence: Sequence, lifetime: UInt8 = 0, _ random: inout SplitMix64) -> Record {
  let bytes = Int(random.next() % 8 == 0 ? random.next() % 1500 : random.next() % 60)
  var payload: [UInt8] = [lifetime]
  for _ in 0..<bytes { payload.append(UInt8(truncatingIfNeeded: random.next())) }
  return Record(sequence: sequence, kind: UInt8(random.next() % 255) + 1, payload: payload)
}

extension RecordBuffer {
  /// Appends a record and checks that it gets the sequence the test expects.
  func append(_ record: Record) {
    begin(record.kind)
    record.payload.withUnsafeBytes { append(bytes: $0) }
    #expect(finish() == record.sequence)
  }
}

/// Recovers and collects.
func recover(
  _ storage: SimulatedStorage, from first: Sequence = 1, salvage: Bool = false
) throws -> (records: [Record], report: RecoveredJournal) {
  var records: [Record] = []
  let report = try JournalReader.recover(storage: storage, from: first, store: store, salvage: salvage) {
    sequence, kind, payload in
    records.append(Record(sequence: sequence, kind: kind, payload: Array(payload)))
  }
  return (records, report)
}

/// A journal behind the seam, recovered and begun.
func openLog(
  _ storage: any Storage, from first: Sequence = 1, policy: SyncPolicy = .always, segmentBytes: Int = 8192,
  clock: @escaping @Sendable () -> Int64 = { 0 }, wake: @escaping @Sendable () -> Void = {},
  notify: @escaping @Sendable () -> Void = {}
) throws -> JournalLog {
  let log = try JournalLog(
    storage, identity: LogIdentity(store: store, hashKey: store),
    settings: JournalSettings(policy: policy, segmentBytes: segmentBytes), random: { store }, clock: clock, wake: wake,
    notify: notify)
  _ = try log.recover(from: first, .strict) { _, _, _ in }
  try log.begin()
  return log
}

/// A small journal: batches of records, each batch synced, in segments of 8192 bytes.
struct SmallJournal {
  let storage = SimulatedStorage()
  var records: [Record] = []
  /// The first record of the last batch.
  var lastBatch: Sequence = 1

  init(batches: Int, recordsInBatch: Int = 3, seed: UInt64 = 1, closes: Bool = false) throws {
    var random = SplitMix64(seed: seed)
    let report = try recover(storage).report
    let writer = try SegmentWriter(storage: storage, store: store, recovered: report, segmentBytes: 8192)
    let buffer = RecordBuffer()
    for _ in 0..<batches {
      lastBatch = Sequence(records.count) + 1
      buffer.reset(nextSequence: lastBatch)
      for _ in 0..<recordsInBatch {
        let record = randomRecord(Sequence(records.count) + 1, &random)
        buffer.append(record)
        records.append(record)
      }
      try writer.write(buffer)
      try writer.sync()
    }
    if closes { try writer.close() }
  }

  /// The bytes of one batch as they lie in a segment; its frames are 40 bytes long.
  static func uniformBatch(first: Sequence, records: Int) throws -> [UInt8] {
    let storage = SimulatedStorage()
    var recovered = RecoveredJournal()
    recovered.report.nextSequence = first
    let writer = try SegmentWriter(storage: storage, store: store, recovered: recovered, segmentBytes: 8192)
    let buffer = RecordBuffer()
    buffer.reset(nextSequence: first)
    for sequence in first..<first + Sequence(records) {
      buffer.append(Record(sequence: sequence, kind: 1, payload: [UInt8](repeating: 1, count: 16)))
    }
    try writer.write(buffer)
    let file = storage.paths.last { $0.hasSuffix(".wal") }!
    return Array(storage.contents(file)![4096..<4096 + 40 * (records + 1)])
  }

  /// A segment of 8192 bytes with these frames.
  static func segment(first: Sequence, _ frames: [UInt8]) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: 8192)
    bytes.withUnsafeMutableBytes {
      SegmentHeader(firstSequence: first, store: store, fileBytes: 8192).write(into: $0)
    }
    bytes.replaceSubrange(4096..<4096 + frames.count, with: frames)
    return bytes
  }

  var segments: [String] { storage.paths.filter { $0.hasSuffix(".wal") } }
}
