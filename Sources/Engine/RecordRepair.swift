// Records among damage: walks the bytes of a slice or a topic segment, over good records and over what is none.
//
// Holds: good records are passed whole; a stretch without one begins and ends where records may begin. When a damaged record
// still says its length rightly, the stretch is that record and nothing else.
// Leaves to others: what is put in the place of a stretch, and what it may have held (Salvage).

import DataFiles
import Primitives

/// The bytes of one file, in memory.
struct RecordRepair {
  let memory: Chunk
  let length: Int

  /// Reads `length` bytes of a file; what is not there reads as zeroes.
  init(_ files: OpenFiles, path: String, length: Int) throws(StorageError) {
    memory = Chunk(filePosition: 0, capacity: length)
    self.length = length
    memory.base.initializeMemory(as: UInt8.self, repeating: 0, count: length)
    do throws(StorageError) {
      let file = try files.file(path, create: false)
      defer { files.forget(path) }
      _ = try files.storage.read(file, at: 0, into: UnsafeMutableRawBufferPointer(start: memory.base, count: length))
    } catch  where error.kind == .notFound {}
  }

  /// The good record at a place; nil when there is none.
  func record(at place: Int) -> MessageRecord? {
    guard place >= 0, place < length else { return nil }
    return MessageRecord.validated(UnsafeRawBufferPointer(start: memory.base + place, count: length - place))
  }

  /// The end of the stretch without a good record that begins at a place, and whether it is just one record whose length can be
  /// believed. `isGood` says whether a record belongs where it stands.
  func endOfStretch(
    from place: Int, isGood: (MessageRecord, _ place: Int) -> Bool
  ) -> (end: Int, isOneRecord: Bool) {
    func isGoodHere(_ place: Int) -> Bool { record(at: place).map { isGood($0, place) } ?? false }
    if length - place >= MessageRecord.headerLength {
      let announced = MessageRecord(memory.base + place).length
      if announced >= MessageRecord.headerLength, announced % 8 == 0, announced <= length - place,
        place + announced == length || isGoodHere(place + announced)
      {
        return (place + announced, true)
      }
    }
    // Whatever was lost had a header.
    var next = place + MessageRecord.headerLength
    while next < length, !isGoodHere(next) { next += 8 }
    return (min(next, length), false)
  }

  /// Puts records that mean nothing into a stretch.
  func blank(_ stretch: Range<Int>) {
    var place = stretch.lowerBound
    while place < stretch.upperBound {
      let rest = stretch.upperBound - place
      // Readers take records whole into memory: no long ones, and none left over that is too short.
      let bytes = rest > 2 * Self.blankBytes ? Self.blankBytes : rest
      MessageRecord.writeLost(length: bytes, sequence: 0, dueMs: 0, stampMs: 0, topic: 0, at: memory.base + place)
      place += bytes
    }
  }

  private static let blankBytes = 64 << 10
}
