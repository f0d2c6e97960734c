// The near messages: what the in-memory wheel's timers stand for.
//
// Holds: an occupied element owns its record's memory; a free one has no record and points to the next free one.
// Leaves to others: the timers (TimingWheel), where a message is found by id (PendingIndex).

import Primitives
import TimingWheel

/// A message waiting in memory; 64 bytes and its record.
struct PendingMessage: BitwiseCopyable {
  var record: UnsafeMutableRawPointer?
  var sequence: Sequence = 0
  /// When it may be released: its due time, raised to the watermark if that was further.
  var dueMs: UnixMs = 0
  var hash = IDHash(low: 0, high: 0)
  var timer = TimerID.none
  var topic: UInt32 = 0
  /// Where a checkpoint put a copy, if one did.
  var copySlice: UInt32 = PendingSlab.noSlice
  var copyPosition = 0
}

/// Slots for near messages, with a free list.
final class PendingSlab {
  /// In place of a timer: the message has been released and is to be retired.
  static let isReleased = TimerID(index: .max, generation: .max - 1)
  static let noSlice = UInt32.max
  private let elements = PagedArray(filler: PendingMessage())
  @exclusivity(unchecked) private var free: [UInt32] = []
  @exclusivity(unchecked) private(set) var count = 0
  @exclusivity(unchecked) private(set) var recordBytes = 0
  /// Bytes of the blocks in which the records lie.
  @exclusivity(unchecked) private(set) var blockBytes = 0

  private let pool = RecordPool()

  deinit {
    forEach { index, _ in
      if let record = elements[index].record { pool.free(record, MessageRecord(record).length) }
    }
  }

  /// A slot with a copy of `record`; everything else is the caller's to fill in.
  func insert(copyOf record: MessageRecord) -> UInt32 {
    let index: UInt32
    if let reused = free.popLast() {
      index = reused
    } else {
      index = UInt32(elements.count)
      elements.grow(to: Int(index) + 1)
    }
    let length = record.length
    let memory = pool.allocate(length)
    memory.copyMemory(from: record.base, byteCount: length)
    elements.pointer(index).pointee = PendingMessage(record: memory)
    count += 1
    recordBytes += length
    blockBytes += RecordPool.blockBytes(length)
    return index
  }

  /// Frees a slot and its record.
  func remove(_ index: UInt32) {
    let element = elements.pointer(index)
    guard let record = element.pointee.record else { preconditionFailure("a free slot was freed") }
    let length = MessageRecord(record).length
    recordBytes -= length
    blockBytes -= RecordPool.blockBytes(length)
    pool.free(record, length)
    element.pointee.record = nil
    free.append(index)
    count -= 1
  }

  subscript(index: UInt32) -> UnsafeMutablePointer<PendingMessage> { elements.pointer(index) }

  /// Calls `body` for every message, in no order.
  func forEach(_ body: (UInt32, UnsafeMutablePointer<PendingMessage>) -> Void) {
    for index in 0..<UInt32(elements.count) where elements.pointer(index).pointee.record != nil {
      body(index, elements.pointer(index))
    }
  }
}
