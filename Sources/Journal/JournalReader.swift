// Recovery: every record from a sequence on, in order, or a refusal that names the place.
//
// Holds:
//   - what is handed over is a dense run of sequences, each record as it was written;
//   - an unreadable place in the last segment is a torn tail only if no batch mark behind it says that the record expected
//     there had been durable; then it is cut and reported. So a synced record is never dropped silently unless nothing at all
//     was written after its sync and the damage lies in the very last batch;
//   - an unreadable place anywhere else, a gap, an overlap, a foreign or unknown file is a refusal. With `salvage` the damaged
//     range is left out up to the next batch mark, and listed;
//   - nothing on disk is changed: the cut is made by SegmentWriter when writing goes on.
// Leaves to others: what the records mean.

import DecisionLog
import Primitives

/// Reads journals.
public enum JournalReader {
  /// Hands over every record from `firstNeeded` on, in order.
  ///
  /// - Parameters:
  ///   - folder: where the segments lie.
  ///   - firstNeeded: the first record that the checkpoint does not hold; 1 without a checkpoint. Records before it are not
  ///     handed over, and segments before it are not read.
  ///   - store: the identity that every segment must carry.
  ///   - salvage: leave damaged ranges out, and list them, instead of refusing.
  ///   - body: gets sequence, kind and payload; the payload is good until it returns. What it throws ends the recovery.
  /// - Returns: what was found; to be given to `SegmentWriter`.
  /// - Complexity: O(bytes); memory for 1 MiB or the longest record.
  public static func recover(
    storage: any Storage, folder: String = "journal", from firstNeeded: Sequence, store: StoreID, salvage: Bool = false,
    _ body: (_ sequence: Sequence, _ kind: UInt8, _ payload: UnsafeRawBufferPointer) throws -> Void
  ) throws(JournalError) -> RecoveredJournal {
    var recovery = Recovery(
      storage: storage, folder: folder, firstNeeded: max(1, firstNeeded), store: store, salvage: salvage)
    try recovery.run(body)
    return recovery.found
  }
}

/// What a recovery found, and where its valid part ends.
@dynamicMemberLookup
public struct RecoveredJournal: Sendable {
  /// What every log reports.
  public internal(set) var report = RecoveryReport()
  /// The first sequences of the segments there are, ascending, those no longer needed included.
  public internal(set) var segments: [Sequence] = []
  /// Where the last segment's valid part ends, in bytes from the start of the file.
  var lastSegmentEnd = 0

  /// Of a journal that is not there.
  init() {}

  /// A part of the report.
  public subscript<Part>(dynamicMember part: KeyPath<RecoveryReport, Part>) -> Part { report[keyPath: part] }
}

/// One run over the segments.
struct Recovery {
  typealias Body = (Sequence, UInt8, UnsafeRawBufferPointer) throws -> Void

  let storage: any Storage
  let folder: String
  let firstNeeded: Sequence
  let store: StoreID
  let salvage: Bool
  var found = RecoveredJournal()
  /// The sequence that the next frame must carry.
  private var expected: Sequence = 1

  init(storage: any Storage, folder: String, firstNeeded: Sequence, store: StoreID, salvage: Bool) {
    self.storage = storage
    self.folder = folder
    self.firstNeeded = firstNeeded
    self.store = store
    self.salvage = salvage
  }

  mutating func run(_ body: Body) throws(JournalError) {
    let names: [String]
    do throws(StorageError) { names = try storage.list(folder) } catch { throw .storage(error) }
    found.segments = names.compactMap(Segment.first).sorted()
    let start = found.segments.lastIndex { $0 <= firstNeeded } ?? 0
    expected = found.segments.isEmpty ? 1 : found.segments[start]
    if expected > firstNeeded {
      let lost = JournalError.missing(
        from: firstNeeded, through: expected - 1, reason: "the first segment begins behind them")
      try lose(lost, file: folder, offset: 0, from: firstNeeded, through: expected - 1)
    }
    for index in found.segments.indices.dropFirst(start) {
      let next = index + 1 < found.segments.count ? found.segments[index + 1] : nil
      try readSegment(found.segments[index], next: next, body)
    }
    if expected < firstNeeded {
      let reason = "the journal ends before the record that the checkpoint goes on from"
      let lost = JournalError.missing(from: expected, through: firstNeeded - 1, reason: reason)
      try lose(lost, file: folder, offset: 0, from: expected, through: firstNeeded - 1)
      expected = firstNeeded
    }
    found.report.nextSequence = expected
  }

  /// Reads one segment up to the first sequence of the next one, or up to its end when it is the last.
  private mutating func readSegment(_ first: Sequence, next: Sequence?, _ body: Body) throws(JournalError) {
    let reader = try SegmentReader(storage, file: "\(folder)/\(Segment.name(first: first))")
    expected = max(expected, first)
    do throws(JournalError) { try reader.header(store: store, named: first) } catch {
      guard case .damaged(_, let offset, _) = error else { throw error }
      try lose(error, file: reader.file, offset: offset, from: expected, through: expected - 1)
    }
    var offset = SegmentHeader.bytes
    while true {
      let frame = try reader.frame(at: offset)
      if let next, expected >= next, frame?.sequence != expected { return }
      if let frame, try accept(frame, next: next, body) {
        offset += frame.bytes
        found.report.bytes += frame.bytes
      } else if let resumed = try judge(reader, at: offset, next: next) {
        offset = resumed
      } else {
        break
      }
    }
    found.lastSegmentEnd = offset
  }

  /// Hands over a frame if it is the expected one; returns whether it was.
  private mutating func accept(_ frame: FoundFrame, next: Sequence?, _ body: Body) throws(JournalError) -> Bool {
    guard frame.sequence == expected else { return false }
    if frame.kind == Frame.logKind {
      guard let durable = BatchMark.durableSequence(frame, tag: store.low) else { return false }
      return durable < expected
    }
    // The next segment begins with this very record.
    if let next, expected >= next { return false }
    if expected >= firstNeeded {
      do { try body(frame.sequence, frame.kind, frame.payload) } catch let error as JournalError { throw error } catch {
        throw .unusable(sequence: frame.sequence, reason: "\(error)")
      }
      found.report.records += 1
    }
    expected += 1
    return true
  }

  /// Decides what a place without the expected frame means: throws for damage, nil at the end of the segment, otherwise the
  /// place where a salvage goes on.
  private mutating func judge(
    _ reader: SegmentReader, at offset: Int, next: Sequence?
  ) throws(JournalError) -> Int? {
    let isEnd = try reader.isEnd(at: offset)
    if let next, expected >= next {
      let error = JournalError.damaged(
        file: reader.file, offset: offset, reason: "it goes on with record \(expected), as the next segment does")
      try lose(error, file: reader.file, offset: offset, from: expected, through: expected - 1)
      return nil
    }
    let remains = try reader.remains(from: offset, expected: expected, tag: store.low)
    if next == nil && remains.proof == nil {
      if !isEnd || remains.nextMark != nil {
        found.report.tornTail = TornTail(file: reader.file, offset: offset, bytesCut: remains.end - offset)
      }
      return nil
    }
    let resume = remains.nextMark.flatMap { mark in mark.sequence <= next ?? .max ? mark : nil }
    let through = (resume?.sequence ?? next!) - 1
    let error: JournalError
    if isEnd && resume == nil {
      error = .missing(from: expected, through: through, reason: "\(reader.file) ends before them")
    } else {
      let witness = remains.proof.map { "the batch mark at byte \($0)" } ?? "the next segment"
      let reason = "record \(expected) is not readable, and \(witness) says that it had been durable"
      error = .damaged(file: reader.file, offset: offset, reason: reason)
    }
    try lose(error, file: reader.file, offset: offset, from: expected, through: through)
    expected = through + 1
    return resume?.offset
  }

  /// Refuses, or notes the loss.
  private mutating func lose(
    _ error: JournalError, file: String, offset: Int, from: Sequence, through: Sequence
  ) throws(JournalError) {
    guard salvage else { throw error }
    found.report.lost.append(LostRange(file: file, offset: offset, from: from, through: through, reason: "\(error)"))
  }
}
