// Every place of a small journal damaged, cut or taken away: a recovery gives a prefix of the truth or refuses.

import DecisionLog
import Journal
import Primitives
import SimulatedDisk
import Testing

@Suite struct DamageTests {
  /// Places worth damaging: all that carry something, and some of the zeroes behind.
  private static func places(_ bytes: [UInt8]) -> [Int] {
    let end = (bytes.lastIndex { $0 != 0 } ?? 0) + 1
    return Array(0..<48) + Array(4096..<end + 16) + [48, 4095, end + 100, bytes.count - 1]
  }

  /// Gives a changed header a good checksum.
  private func seal(header bytes: inout [UInt8]) {
    let covered = Array(bytes[0..<12] + bytes[16..<48])
    let checksum = covered.withUnsafeBytes(CRC32C.checksum)
    withUnsafeBytes(of: checksum.littleEndian) { bytes.replaceSubrange(12..<16, with: $0) }
  }

  @Test("a flipped bit in any byte loses no record but those of the very last batch without a refusal")
  func flipEveryByte() throws {
    let journal = try SmallJournal(batches: 16, recordsInBatch: 2, seed: 3)
    #expect(journal.segments.count > 1)
    for file in journal.segments {
      for place in Self.places(journal.storage.contents(file)!) {
        journal.storage.flip(bit: place % 8, of: file, at: place)
        defer { journal.storage.flip(bit: place % 8, of: file, at: place) }
        guard let (records, report) = try? recover(journal.storage) else { continue }
        #expect(records == Array(journal.records.prefix(records.count)), "\(file) at \(place)")
        #expect(report.nextSequence >= journal.lastBatch, "\(file) at \(place)")
        #expect(records.count == journal.records.count || report.tornTail != nil, "\(file) at \(place)")
      }
    }
  }

  @Test("after an orderly end, a flipped bit in any byte loses nothing without a refusal")
  func flipEveryByteAfterClose() throws {
    let journal = try SmallJournal(batches: 4, recordsInBatch: 2, seed: 4, closes: true)
    let file = journal.segments.last!
    for place in Self.places(journal.storage.contents(file)!) {
      journal.storage.flip(bit: place % 8, of: file, at: place)
      defer { journal.storage.flip(bit: place % 8, of: file, at: place) }
      guard let records = try? recover(journal.storage).records else { continue }
      #expect(records == journal.records, "\(file) at \(place)")
    }
  }

  @Test("a start does not trust a copy of the last segment that the disk spoilt")
  func spoiltCopy() throws {
    let journal = try SmallJournal(batches: 4, recordsInBatch: 2, seed: 5)
    let (_, report) = try recover(journal.storage)
    journal.storage.spoilNextWrite(to: "journal/copy.tmp")
    #expect(throws: JournalError.self) {
      try SegmentWriter(storage: journal.storage, store: store, recovered: report, segmentBytes: 8192)
    }
    #expect(try recover(journal.storage).records == journal.records)
  }

  @Test("a file cut to any length is refused")
  func cutEveryLength() throws {
    let journal = try SmallJournal(batches: 9, recordsInBatch: 2, seed: 3)
    for file in journal.segments {
      let whole = journal.storage.contents(file)!
      for length in stride(from: 0, to: whole.count, by: 13) {
        journal.storage.place(file, Array(whole.prefix(length)))
        #expect(throws: JournalError.self, "\(file) cut to \(length)") { try recover(journal.storage) }
      }
      journal.storage.place(file, whole)
    }
  }

  @Test("a last segment zeroed from any place on gives a prefix")
  func zeroTail() throws {
    let journal = try SmallJournal(batches: 5, recordsInBatch: 2, seed: 5)
    let file = journal.segments.last!
    let whole = journal.storage.contents(file)!
    for length in stride(from: 4096, to: whole.count, by: 1) where length < 5200 {
      let bytes = whole.prefix(length) + [UInt8](repeating: 0, count: whole.count - length)
      journal.storage.place(file, Array(bytes))
      // Nothing behind the cut can bear witness: this is what a disk that lies about a sync looks like.
      let records = try recover(journal.storage).records
      #expect(records == Array(journal.records.prefix(records.count)))
    }
  }

  @Test("zeroes in place of a batch are damage when a later batch knew it durable")
  func zeroedMiddle() throws {
    let journal = try SmallJournal(batches: 5, recordsInBatch: 1, seed: 6)
    let file = journal.segments.last!
    var bytes = journal.storage.contents(file)!
    bytes.replaceSubrange(4096..<4096 + 48, with: repeatElement(0, count: 48))
    journal.storage.place(file, bytes)
    let error = #expect(throws: JournalError.self) { try recover(journal.storage) }
    #expect(error?.description.contains("\(file) at byte 4096") == true, "the refusal names file and offset")
  }

  @Test("a missing segment is refused by name of the records, unless they are no longer needed")
  func missingSegment() throws {
    let journal = try SmallJournal(batches: 60, seed: 7)
    let files = journal.segments
    #expect(files.count >= 4)
    let storage = journal.storage.copy()
    try storage.remove(files[1])
    let error = #expect(throws: JournalError.self) { try recover(storage) }
    #expect(error?.description.hasPrefix("the journal lacks the records") == true)
    let later = try recover(storage, from: 181)
    #expect(later.records.isEmpty && later.report.nextSequence == 181)

    let beginning = journal.storage.copy()
    try beginning.remove(files[0])
    #expect(throws: JournalError.self) { try recover(beginning) }
    #expect(throws: JournalError.self) { try recover(SimulatedStorage(), from: 5) }
    #expect(throws: JournalError.self) { try recover(journal.storage, from: 182) }
  }

  @Test("two segments with the same records are refused")
  func overlap() throws {
    let journal = try SmallJournal(batches: 60, seed: 7)
    // A copy of the first segment under the name of its second batch, with a header that fits the name.
    var bytes = journal.storage.contents(journal.segments[0])!
    bytes[16] = 4
    seal(header: &bytes)
    journal.storage.place("journal/0000000000000004.wal", bytes)
    #expect(throws: JournalError.self) { try recover(journal.storage) }
    // The first segment in place of the second one.
    try journal.storage.remove("journal/0000000000000004.wal")
    journal.storage.place(journal.segments[1], journal.storage.contents(journal.segments[0])!)
    #expect(throws: JournalError.self) { try recover(journal.storage) }
  }

  @Test("the files of another store and of another version are refused")
  func foreign() throws {
    let journal = try SmallJournal(batches: 1)
    #expect(throws: JournalError.otherStore(file: journal.segments[0])) {
      try JournalReader.recover(storage: journal.storage, from: 1, store: StoreID(low: 1, high: 2)) { _, _, _ in }
    }
    var bytes = journal.storage.contents(journal.segments[0])!
    bytes[8] = 2
    seal(header: &bytes)
    journal.storage.place(journal.segments[0], bytes)
    #expect(throws: JournalError.unknownVersion(file: journal.segments[0], version: 2)) { try recover(journal.storage) }
  }

  @Test("a batch mark of another store inside a payload proves nothing")
  func plantedMark() throws {
    // What a client could do: a payload that is itself a frame, with a good checksum, but without this store's tag.
    let storage = SimulatedStorage()
    let planted = try SmallJournal(batches: 2, recordsInBatch: 1).storage.contents("journal/0000000000000001.wal")!
    var mark = Array(planted[4096..<4096 + 40])
    mark.withUnsafeMutableBytes { memory in
      memory.storeBytes(of: UInt64(3).littleEndian, toByteOffset: 8, as: UInt64.self)
      memory.storeBytes(of: UInt64(2).littleEndian, toByteOffset: 24, as: UInt64.self)
      memory.storeBytes(of: UInt64(4711).littleEndian, toByteOffset: 32, as: UInt64.self)
      let checksum = CRC32C.checksum(UnsafeRawBufferPointer(rebasing: memory[8...]))
      memory.storeBytes(of: checksum.littleEndian, toByteOffset: 4, as: UInt32.self)
    }
    let writer = try SegmentWriter(
      storage: storage, store: store, recovered: recover(storage).report, segmentBytes: 8192)
    let buffer = RecordBuffer()
    buffer.append(Record(sequence: 1, kind: 1, payload: mark))
    try writer.write(buffer)
    storage.flip(bit: 0, of: "journal/0000000000000001.wal", at: 4096 + 40 + 4)
    let (records, report) = try recover(storage)
    #expect(records.isEmpty && report.tornTail != nil)
  }

  @Test("old records in a recycled segment are never taken for new ones, even where new ones are expected")
  func staleRecords() throws {
    // All frames are 40 bytes long, as marks are, so that old and new ones begin at the same places.
    let stale = try SmallJournal.uniformBatch(first: 1, records: 90)
    let new = try SmallJournal.uniformBatch(first: 91, records: 90)
    let storage = SimulatedStorage()
    storage.place("journal/0000000000000001.wal", SmallJournal.segment(first: 1, stale))
    // A loss of power after the first five sectors: lcm(40, 512) = 2560.
    let torn = Array(new[..<2560]) + Array(stale[2560...])
    storage.place("journal/000000000000005b.wal", SmallJournal.segment(first: 91, torn))
    let (records, report) = try recover(storage)
    #expect(records.map(\.sequence) == Array(1...153))
    #expect(report.tornTail?.offset == 4096 + 2560)
  }

  @Test("a salvage leaves out the damaged batch only, and lists it")
  func salvage() throws {
    let journal = try SmallJournal(batches: 40, seed: 8)
    let file = journal.segments[1]
    journal.storage.flip(bit: 3, of: file, at: 4096 + 40 + 24)
    #expect(throws: JournalError.self) { try recover(journal.storage) }
    let (records, report) = try recover(journal.storage, salvage: true)
    #expect(report.lost.count == 1)
    let lost = report.lost[0]
    #expect(lost.file == file && lost.offset == 4096 + 40 && lost.through - lost.from == 2)
    #expect(records == journal.records.filter { $0.sequence < lost.from || $0.sequence > lost.through })
    #expect(report.nextSequence == 121)
    let log = try JournalLog.toVerify(journal.storage, identity: LogIdentity(store: store, hashKey: store))
    let verified = try log.recover(from: 1, .verify) { _, _, _ in }
    #expect(verified.lost == report.lost && journal.storage.contents(file) != nil)
    // Writing goes on behind it, and what was saved stays.
    _ = try SegmentWriter(storage: journal.storage, store: store, recovered: report, segmentBytes: 8192)
    #expect(try recover(journal.storage, salvage: true).records == records)
  }

  @Test("a salvage goes on behind a missing segment and a damaged header")
  func salvageSegments() throws {
    let journal = try SmallJournal(batches: 60, seed: 7)
    let files = journal.segments
    journal.storage.flip(bit: 0, of: files[2], at: 20)
    try journal.storage.remove(files[1])
    let (records, report) = try recover(journal.storage, salvage: true)
    #expect(report.lost.count == 2 && report.nextSequence == 181)
    let lost = report.lost[0].from...report.lost[0].through
    #expect(records == journal.records.filter { !lost.contains($0.sequence) })
  }
}
