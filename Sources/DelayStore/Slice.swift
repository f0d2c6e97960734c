// One slice of the delay store: a file that holds every message due in one stretch of time, and tombstones for those that
// were cancelled or moved away.
//
// Holds: `onDiskCount` is the number of messages that the index places in this slice and that are not in memory.
// Leaves to others: which messages go here (DelayStore).

import DataFiles
import Primitives

/// One stretch of time on disk.
final class Slice {
  /// How far it is on its way into memory.
  enum Phase {
    /// Ahead of the hand: takes messages.
    case ahead
    /// Being read into memory or into finer slices.
    case moving
    /// Its messages are in memory, or their owner knows that they are spilled; takes spilled ones and what a checkpoint writes out.
    case near
    /// All its messages went to finer slices; the next checkpoint removes the file.
    case emptied
  }

  let key: SliceKey
  let number: UInt32
  let generation: UInt32
  let file: AppendFile
  @exclusivity(unchecked) var phase: Phase
  /// Messages that the index places on disk here.
  @exclusivity(unchecked) var onDiskCount = 0

  init(key: SliceKey, number: UInt32, generation: UInt32, file: AppendFile, phase: Phase) {
    self.key = key
    self.number = number
    self.generation = generation
    self.file = file
    self.phase = phase
  }

  /// Appends a copy of `record`, due at `dueMs`; gives its file position.
  func append(_ record: MessageRecord, dueMs: UnixMs) -> Int {
    let length = record.length
    let position = file.length
    precondition(position + length < PendingIndex.positionMax, "slice \(file.path) is full")
    let place = file.append(length)
    place.copyMemory(from: record.base, byteCount: length)
    let copy = MessageRecord(place)
    copy.dueMs = dueMs
    copy.seal()
    return position
  }

  /// Marks the record at `position` dead.
  func bury(_ position: Int) {
    MessageRecord.writeTombstone(for: position, at: file.append(MessageRecord.headerLength))
  }
}
