// What is written is read again, across segments and restarts.

import DecisionLog
import Journal
import Primitives
import SimulatedDisk
import TestSeeds
import Testing

@Suite struct RoundTripTests {
  @Test("an empty folder is an empty journal that begins with 1")
  func empty() throws {
    let (records, report) = try recover(SimulatedStorage())
    #expect(records.isEmpty && report.nextSequence == 1 && report.segments.isEmpty && report.tornTail == nil)
  }

  @Test("every record comes back as it was written", arguments: Seeds.some(8))
  func roundTrip(seed: UInt64) throws {
    let journal = try SmallJournal(batches: 40, recordsInBatch: 5, seed: seed)
    #expect(journal.segments.count > 2, "seed \(seed): the test covers changes of segments")
    let (records, report) = try recover(journal.storage)
    #expect(records == journal.records, "seed \(seed)")
    #expect(report.tornTail == nil && report.nextSequence == 201, "seed \(seed)")
    for first in [Sequence(2), 77, 200, 201] {
      let tail = try recover(journal.storage, from: first).records
      #expect(tail == Array(journal.records.dropFirst(Int(first) - 1)), "seed \(seed) from \(first)")
    }
  }

  @Test("a restart goes on with the next sequence and keeps what was there")
  func restart() throws {
    let journal = try SmallJournal(batches: 3)
    var all = journal.records
    var random = SplitMix64(seed: 9)
    for _ in 0..<4 {
      let (records, report) = try recover(journal.storage)
      #expect(records == all)
      let writer = try SegmentWriter(
        storage: journal.storage, store: store, recovered: report, segmentBytes: 8192)
      let buffer = RecordBuffer()
      buffer.reset(nextSequence: report.nextSequence)
      let record = randomRecord(report.nextSequence, &random)
      buffer.append(record)
      all.append(record)
      try writer.write(buffer)
      try writer.close()
    }
    #expect(try recover(journal.storage).records == all)
  }

  @Test("a restart without new records leaves no more segments than before")
  func idleRestarts() throws {
    let journal = try SmallJournal(batches: 2)
    for _ in 0..<3 {
      let report = try recover(journal.storage).report
      _ = try SegmentWriter(storage: journal.storage, store: store, recovered: report, segmentBytes: 8192)
    }
    #expect(journal.segments.count == 2)
    #expect(try recover(journal.storage).records == journal.records)
  }

  @Test("a batch longer than a segment makes its segment longer")
  func oversize() throws {
    let storage = SimulatedStorage()
    let writer = try SegmentWriter(
      storage: storage, store: store, recovered: recover(storage).report, segmentBytes: 8192)
    let buffer = RecordBuffer()
    var records: [Record] = []
    for sequence in Sequence(1)...3 {
      buffer.reset(nextSequence: sequence)
      let record = Record(
        sequence: sequence, kind: 7, payload: [UInt8](repeating: UInt8(sequence), count: sequence == 2 ? 30000 : 10))
      buffer.append(record)
      records.append(record)
      try writer.write(buffer)
      try writer.sync()
    }
    #expect(try recover(storage).records == records)
  }

  @Test("what the reader of records throws ends the recovery and names the record")
  func unusable() throws {
    struct Broken: Error {}
    let journal = try SmallJournal(batches: 2)
    #expect(throws: JournalError.unusable(sequence: 4, reason: "Broken()")) {
      try JournalReader.recover(storage: journal.storage, from: 1, store: store) { sequence, _, _ in
        if sequence == 4 { throw Broken() }
      }
    }
  }
}
